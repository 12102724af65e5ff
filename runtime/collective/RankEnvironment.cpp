#include "runtime/collective/RankEnvironment.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace smelt::runtime {

namespace {

/// Whose variables give a rank.
struct Launcher {
  const char *name, *rank, *size, *localRank, *localSize;
};
constexpr Launcher launchers[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    {"OpenMPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"SLURM", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"},
};

constexpr int kDefaultPort = 29500; // torchrun's.

std::optional<int> parseInteger(std::string_view text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data())
    return std::nullopt;
  if (end != text.data() + text.size() && *end != '(' && *end != ',') // SLURM: "2(x3)", "2,1".
    return std::nullopt;
  return value;
}

/// `name` as an integer of at least `least`; `otherwise` if it is not there.
StatusOr<int> readInteger(const Variables &variables, const char *name, int least,
                          std::optional<int> otherwise = {}) {
  std::optional<std::string> text = variables(name);
  if (!text && otherwise)
    return *otherwise;
  if (!text)
    return usageError("the environment has no ", name);
  std::optional<int> value = parseInteger(*text);
  if (!value || *value < least)
    return usageError("the environment's ", name, " is \"", *text, "\", which is no number from ",
                      least, " on");
  return *value;
}

/// The first host of SLURM's list: "node[03-07,9]" is node03.
std::string findFirstHost(std::string_view list) {
  size_t end = list.find_first_of(",[");
  std::string host(list.substr(0, end));
  if (end != list.npos && list[end] == '[') {
    std::string_view numbers = list.substr(end + 1);
    host += numbers.substr(0, numbers.find_first_of(",-]"));
  }
  return host;
}

Status findMeetingPlace(const Variables &variables, const Launcher &launcher,
                        RankEnvironment &environment) {
  bool isSlurm = std::string_view(launcher.name) == "SLURM";
  int port = kDefaultPort;
  if (isSlurm) // Two jobs on a machine do not meet.
    if (auto job = variables("SLURM_JOB_ID"); job && parseInteger(*job))
      port = 20000 + *parseInteger(*job) % 20000;
  SMELT_ASSIGN_OR_RETURN(environment.port, readInteger(variables, "MASTER_PORT", 1, port));
  if (environment.port > 65535)
    return usageError("the environment's MASTER_PORT is ", environment.port,
                      "; there are ports 1 to 65535");
  // torchrun's own store listens at MASTER_PORT.
  if (variables("TORCHELASTIC_RUN_ID"))
    environment.port = environment.port < 65535 ? environment.port + 1 : environment.port - 1;
  if (auto address = variables("MASTER_ADDR")) {
    environment.address = *address;
    return Status::ok();
  }
  if (auto hosts = variables("SLURM_STEP_NODELIST"); isSlurm && hosts) {
    environment.address = findFirstHost(*hosts);
    return Status::ok();
  }
  if (environment.localSize < environment.size)
    return usageError(launcher.name, " started ranks on several machines: set MASTER_ADDR to the "
                                     "address of rank 0's");
  return Status::ok();
}

} // namespace

StatusOr<std::optional<RankEnvironment>> readRankEnvironment(const Variables &variables) {
  for (const Launcher &launcher : launchers) {
    // srun sets SLURM_PROCID; a batch script's own shell has it too, but not the size.
    if (!variables(launcher.rank) || !variables(launcher.size))
      continue;
    RankEnvironment environment;
    environment.source = launcher.name;
    SMELT_ASSIGN_OR_RETURN(environment.rank, readInteger(variables, launcher.rank, 0));
    SMELT_ASSIGN_OR_RETURN(environment.size, readInteger(variables, launcher.size, 1));
    if (environment.rank >= environment.size)
      return usageError("the environment says rank ", environment.rank, " of ", environment.size,
                        " (", launcher.rank, ", ", launcher.size, ")");
    SMELT_ASSIGN_OR_RETURN(environment.localRank,
                           readInteger(variables, launcher.localRank, 0, environment.rank));
    SMELT_ASSIGN_OR_RETURN(environment.localSize,
                           readInteger(variables, launcher.localSize, 1, environment.size));
    SMELT_RETURN_IF_ERROR(findMeetingPlace(variables, launcher, environment));
    return std::optional<RankEnvironment>(environment);
  }
  return std::optional<RankEnvironment>();
}

StatusOr<std::optional<RankEnvironment>> readRankEnvironment() {
  return readRankEnvironment([](const char *name) {
    const char *value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  });
}

} // namespace smelt::runtime
