#include "runtime/bundle/Manifest.h"

#include <charconv>
#include <iterator>

namespace smelt::runtime {

namespace {
constexpr const char *kBufferKinds[] = {"parameter", "state",  "gradient", "setting",
                                        "input",     "output", "constant", "workspace"};
constexpr const char *kCollectiveKinds[] = {"all_reduce", "reduce_scatter", "all_gather"};
constexpr const char *kSampleOrders[] = {"random", "contiguous", "documents", "aligned"};

template <typename Enum, size_t N>
std::optional<Enum> parseEnum(const char *const (&names)[N], std::string_view name) {
  for (size_t i = 0; i < N; ++i)
    if (name == names[i])
      return static_cast<Enum>(i);
  return std::nullopt;
}

template <typename Element>
const Element *findByName(const std::vector<Element> &elements, std::string_view name) {
  for (const Element &element : elements)
    if (element.name == name)
      return &element;
  return nullptr;
}
} // namespace

const char *bufferKindName(BufferKind kind) { return kBufferKinds[static_cast<size_t>(kind)]; }
std::optional<BufferKind> parseBufferKind(std::string_view name) {
  return parseEnum<BufferKind>(kBufferKinds, name);
}

const char *collectiveKindName(CollectiveKind kind) {
  return kCollectiveKinds[static_cast<size_t>(kind)];
}
std::optional<CollectiveKind> parseCollectiveKind(std::string_view name) {
  return parseEnum<CollectiveKind>(kCollectiveKinds, name);
}

const char *sampleOrderName(SampleOrder order) { return kSampleOrders[static_cast<size_t>(order)]; }
std::optional<SampleOrder> parseSampleOrder(std::string_view name) {
  return parseEnum<SampleOrder>(kSampleOrders, name);
}

const Program *Manifest::findProgram(std::string_view wanted) const {
  return findByName(programs, wanted);
}

const Program *Manifest::findLastOfStep(const Program &program, int64_t step) const {
  std::vector<std::string> due;
  for (const Update &update : training.updates)
    if (update.period.isDue(step))
      due.push_back(update.program);
  for (const Program &other : programs)
    if (other.last && other.last->program == program.name && other.last->updates == due)
      return &other;
  return nullptr;
}

const Program *Manifest::findProgramByRole(std::string_view role) const {
  for (const Program &program : programs)
    if (program.role == role)
      return &program;
  return nullptr;
}

/// The decimal number that `text` is, from `low` up.
static std::optional<int64_t> parseNumber(std::string_view text, int64_t low) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low)
    return std::nullopt;
  return value;
}

std::optional<Period> automaticPeriod(std::string_view name, std::string_view stem) {
  if (name.substr(0, stem.size()) != stem)
    return std::nullopt;
  std::string_view rest = name.substr(stem.size());
  if (rest.empty())
    return Period{};
  if (rest[0] != '.')
    return std::nullopt;
  rest.remove_prefix(1);
  size_t dot = rest.find('.');
  auto every = parseNumber(rest.substr(0, dot), 2);
  if (!every)
    return std::nullopt;
  if (dot == rest.npos)
    return Period{*every, *every - 1};
  auto offset = parseNumber(rest.substr(dot + 1), 0);
  if (!offset || *offset >= *every)
    return std::nullopt;
  return Period{*every, *offset};
}

std::map<std::string, const Buffer *> Manifest::findMasters() const {
  std::map<std::string, const Buffer *> masters;
  for (const Buffer &buffer : buffers)
    if (buffer.isMaster())
      for (const PartOf &part : buffer.partOf)
        masters[part.name] = &buffer;
  return masters;
}

const Setting *Manifest::findSetting(std::string_view wanted) const {
  return findByName(settings, wanted);
}

} // namespace smelt::runtime
