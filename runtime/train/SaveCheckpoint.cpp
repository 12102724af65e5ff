#include "runtime/train/SaveCheckpoint.h"

#include <cstdlib>
#include <optional>

namespace smelt::runtime {

namespace {
/// The words that ranks tell each other about one checkpoint.
struct Words {
  RankGroup &group;
  int64_t step;
  std::string key(const char *what, int rank = 0) const {
    return concat("checkpoint/", step, "/", what, "/", rank);
  }
  Status tell(const char *what, const std::string &value, int rank = 0) const {
    return group.set(key(what, rank), value);
  }
  StatusOr<std::string> hear(const char *what, int rank = 0) const {
    return group.get(key(what, rank));
  }
};

/// "BYTES SHA256", or nothing where a rank has written no file.
std::string recordText(const FileRecord &record) { return concat(record.bytes, " ", record.sha256); }

FileRecord parseRecord(const std::string &text) {
  size_t space = text.find(' ');
  return {std::strtoull(text.c_str(), nullptr, 10), text.substr(space + 1)};
}

/// A rank other than 0.
Status saveOwn(Session &session, int64_t step, Ranks &ranks) {
  Words words{ranks.group(), step};
  SMELT_RETURN_IF_ERROR(session.snapshotParameters().status()); // Rank 0 gets this rank's parts.
  SMELT_ASSIGN_OR_RETURN(Snapshot state, session.snapshotState(step));
  SMELT_ASSIGN_OR_RETURN(std::string folder, words.hear("folder"));
  std::string written;
  if (!state.tensors().empty()) {
    SMELT_ASSIGN_OR_RETURN(FileRecord record,
                           writeStateFile(folder, ranks.rank(), state.tensors()));
    written = recordText(record);
  }
  SMELT_RETURN_IF_ERROR(words.tell("record", written, ranks.rank()));
  return words.hear("published").status(); // Nobody is ahead while it may still fail.
}
} // namespace

Status saveTogether(Session &session, const CheckpointInfo &info, const std::string &root, int keep,
                    Ranks *ranks) {
  if (ranks && ranks->rank() != 0)
    return saveOwn(session, info.step, *ranks);
  SMELT_ASSIGN_OR_RETURN(PendingCheckpoint pending, PendingCheckpoint::create(root, info.step));
  std::optional<Words> words;
  if (ranks)
    words.emplace(Words{ranks->group(), info.step});
  if (words)
    SMELT_RETURN_IF_ERROR(words->tell("folder", pending.path()));
  SMELT_ASSIGN_OR_RETURN(Snapshot parameters, session.snapshotParameters());
  SMELT_ASSIGN_OR_RETURN(Snapshot state, session.snapshotState(info.step));
  SMELT_RETURN_IF_ERROR(pending.addParameters(parameters.tensors()));
  SMELT_ASSIGN_OR_RETURN(FileRecord record, writeStateFile(pending.path(), 0, state.tensors()));
  pending.addState(0, record);
  for (int rank = 1; ranks && rank < ranks->size(); ++rank) {
    SMELT_ASSIGN_OR_RETURN(std::string written, words->hear("record", rank));
    if (!written.empty())
      pending.addState(rank, parseRecord(written));
  }
  SMELT_RETURN_IF_ERROR(pending.publish(info, keep));
  return words ? words->tell("published", "") : Status::ok();
}

} // namespace smelt::runtime
