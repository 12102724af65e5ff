//===- Session.h - A bundle loaded on a device ------------------*- C++ -*-===//
//
// What training, evaluation and sampling share: the opened bundle, the device with its arena, the
// prepared programs, parameters and states by name, settings by step.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/bundle/Bundle.h"
#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/checkpoint/TensorIndex.h"
#include "runtime/data/Batch.h"
#include "runtime/device/Device.h"
#include "runtime/train/CommunicationLane.h"
#include "runtime/train/DeviceChoice.h"
#include "runtime/train/Ranks.h"

#include <functional>
#include <map>
#include <memory>
#include <set>

namespace smelt::runtime {

/// Copies of named buffers in host memory, and views of them.
class Snapshot {
public:
  const std::map<std::string, TensorView> &tensors() const { return tensors_; }
  void add(const Buffer &buffer, std::vector<std::byte> data);
  void add(const std::string &name, DType dtype, std::vector<int64_t> shape,
           std::vector<std::byte> data);

private:
  std::map<std::string, std::vector<std::byte>> data_;
  std::map<std::string, TensorView> tensors_;
};

/// A few scalars that are read together, and how: neighbours travel as one range.
struct ScalarPlan {
  struct Place {
    uint32_t buffer = 0;
    size_t at = 0; ///< In the bytes of the read.
  };
  std::vector<DeviceRange> ranges;
  std::vector<Place> places; ///< In the order in which they were asked for.
  size_t bytes = 0;
};

/// Which launches of a program: of one that is the whole end of a step (LastOfStep), those of the
/// last micro-batch or those of the updates; of another, all are before the updates.
enum class Portion { Whole, BeforeUpdates, Updates };

/// When a part of a launch, or a collective, ran; in milliseconds.
struct EntryTime {
  bool isCollective = false;
  size_t number = 0; ///< Among the program's launches or collectives.
  size_t part = 0;   ///< Of a GPU's kernel.
  double start = 0;  ///< After the beginning; negative: in the portion before.
  double milliseconds = 0;
  double exposed = 0; ///< Of a collective: how long the main lane waited for it.
  double queued = 0;  ///< Of a collective: how long it waited for those before it.
};

class Session {
public:
  /// Opens the bundle, checks that this machine runs it, loads the code. The programs' collectives
  /// go to `ranks`, and kernels see this rank's parts; without ranks, programs with collectives
  /// cannot run.
  static StatusOr<std::unique_ptr<Session>>
  open(const std::string &bundlePath, const DeviceChoice &choice = {}, Ranks *ranks = nullptr);
  ~Session();

  const Bundle &bundle() const { return bundle_; }
  const Manifest &manifest() const { return bundle_.manifest; }
  Device &device() { return *device_; }

  /// Where the device runs collectives: all ranks get rank 0's parameters.
  Status shareParameters();
  /// Gradients are sums over all ranks before updates begin, on every rank (FixedOrder.h): updates
  /// do not sum them, and checkpoints have them once.
  void setFixedOrder(bool fixed) { fixedOrder_ = fixed; }

  /// Sets parameters, states and constants to their initial values.
  Status initialise(uint64_t seed);
  /// Replaces parameters and states by a checkpoint's, and gradients that have begun to accumulate;
  /// every one must be there and fit. With `withState` false only the parameters are taken.
  Status restore(const Checkpoint &checkpoint, bool withState = true);

  /// Sets all scheduled settings to their values at `step` (0-based); runs the setup programs at
  /// the first call and whenever a setting that they read has changed.
  Status applySettings(int64_t step);
  /// Writes other values for some scheduled settings, until the next applySettings.
  Status overrideSettings(const std::map<std::string, double> &values);
  /// The settings of a validation after `completed` steps: those of the step that would come next,
  /// as in both records; at the end of training with the manifest's final settings.
  Status applyValidationSettings(int64_t completed);
  /// Sets the automatic settings (Manifest.h) for micro-batch `micro` of `step`.
  Status applyAutomaticSettings(int64_t step, int64_t micro);
  /// Sets one automatic setting, if the bundle has it.
  Status setAutomaticSetting(const std::string &name, double value);
  /// The scheduled settings of rank 0, for people.
  const std::map<std::string, double> &settings() const { return settingValues_; }

  /// Copies the batch into the program's inputs and runs it; what runs now is not waited for.
  Status runOnBatch(const Program &program, const Batch &batch);
  Status writeBatch(const Program &program, const Batch &batch);
  /// Portions of one program come one after the other, with no other program between them.
  Status run(const Program &program, Portion portion = Portion::Whole);
  /// The same, entry by entry; returns when everything has ended.
  StatusOr<std::vector<EntryTime>> runTimed(const Program &program,
                                            Portion portion = Portion::Whole);
  /// Waits for the collectives that are under way.
  Status finishCommunication();
  /// Does a library compute this launch, in place of a generated kernel?
  bool usesLibrary(const Launch &launch) const { return device_->usesLibrary({launch.kernel, {}}); }
  /// The program's launches with the places of their buffers.
  std::vector<DeviceLaunch> resolve(const Program &program) const;
  /// They and its collectives, in order.
  std::vector<DeviceEntry> entries(const Program &program) const;
  Status writeInput(const Program &program, const char *name, std::span<const int32_t> values);

  /// A rank-0 buffer or output as a number.
  StatusOr<double> readScalar(uint32_t buffer);
  StatusOr<double> readOutput(const Program &program, const char *name);

  /// Rank-0 buffers read without waiting: plan once, start after a program, finish when the numbers
  /// are wanted. They are those of the time of the start.
  ScalarPlan planScalars(const std::vector<uint32_t> &buffers) const;
  StatusOr<DeviceRead> startScalars(const ScalarPlan &plan) {
    return device_->startRead(plan.ranges);
  }
  StatusOr<std::vector<double>> finishScalars(const ScalarPlan &plan, DeviceRead read);

  StatusOr<std::vector<std::byte>> readBuffer(const Buffer &buffer);
  /// All parameters, those with masters in the masters' type, which all ranks call for: rank 0 gets
  /// them, the others nothing.
  StatusOr<Snapshot> snapshotParameters();
  /// Sets a parameter to the values of `tensor`, and this rank's part of its master if it has one.
  /// `tensor` has the master's type then.
  Status writeParameter(const Buffer &parameter, const TensorView &tensor);
  /// Copies of all buffers of a kind.
  StatusOr<Snapshot> snapshot(const std::vector<BufferKind> &kinds);
  /// Optimiser state after `completed` steps, as far as this rank keeps it: states that it has a
  /// part of, the gradients of updates that are between two of their steps; rank 0's has also what
  /// all ranks have.
  StatusOr<Snapshot> snapshotState(int64_t completed);
  /// SHA-256 over the names, types, shapes and bytes of all parameters and states, which are the
  /// same for any number of ranks (all ranks call it).
  StatusOr<std::string> hashState();
  /// The learned scalars: the rank-0 parameters.
  std::vector<uint32_t> scalarParameters() const;
  uint64_t countParameters() const;

private:
  Session() = default;
  Status prepare();
  Status addProgram(const Program &program);
  int rank() const { return ranks_ ? ranks_->rank() : 0; }
  uint64_t addressOf(const Buffer &buffer) const {
    return buffer.offset + buffer.rankStride.value_or(0) * static_cast<uint64_t>(rank());
  }
  Status runCollective(const CollectiveStep &step);
  Status startCollective(const Program &program, uint32_t number);
  Status waitForLane(const std::vector<uint32_t> &numbers);
  StatusOr<std::vector<EntryTime>> runTimedOnDevice(const Program &program);
  Status runAllReduce(const CollectiveStep &step);
  Status runReduceScatter(const CollectiveStep &step);
  Status runAllGather(const CollectiveStep &step);
  Status clearPadding();
  std::optional<DeviceLibrary> libraryOf(const Kernel &kernel) const;
  Status writeBuffer(uint32_t index, std::span<const std::byte> data);
  /// This rank's rows of a tensor that a state has a part of.
  struct RowsOf {
    const PartOf *whole;
    int64_t first, last;   ///< In the whole tensor.
    uint64_t at, rowBytes; ///< Where they begin in the part, in bytes.
    std::span<std::byte> bytes;
  };
  /// Calls `act` for each tensor that the state `buffer`, whose bytes are `data`, has rows of.
  Status forEachPiece(const Buffer &buffer, std::span<std::byte> data,
                      const std::function<Status(const RowsOf &)> &act) const;
  StatusOr<std::vector<std::byte>> gatherState(const Buffer &buffer);
  Status restoreFrom(const Checkpoint &checkpoint, bool withState);
  Status restoreParameter(const Buffer &buffer, const TensorIndex &tensors);
  Status restoreBuffer(const Buffer &buffer, const std::string &name, const TensorIndex &tensors);
  Status restoreRows(const Buffer &like, const std::string &name, int64_t rows,
                     std::pair<int64_t, int64_t> wanted, const TensorIndex &tensors,
                     std::span<std::byte> to);
  Status restoreParts(const Buffer &buffer, const TensorIndex &tensors);
  Status restoreAccumulating(const Buffer &buffer, const TensorIndex &tensors);
  std::set<uint32_t> findAccumulating(int64_t completed) const;
  Status writeSetting(const Setting &setting, const std::vector<double> &values);
  Status runSetup();

  Bundle bundle_;
  std::map<std::string, const Buffer *> masters_; ///< The manifest's findMasters.
  std::unique_ptr<Device> device_;
  /// Launches between two places where something else is to be done, and what is to be done first.
  struct Part {
    std::vector<uint32_t> collectives; ///< To run or, on the lane, to start.
    std::vector<uint32_t> wait;        ///< Then: collectives of the lane to wait for.
    DeviceProgram launches;
    size_t first = 0, last = 0; ///< Their numbers.
    bool ofUpdates = false;
  };
  using RunPart = std::function<Status(const Part &)>;
  Status runParts(const Program &program, Portion portion, const RunPart &runPart);

  /// The collectives of the program that runs, by number.
  struct LaneRun {
    using Span = std::pair<CommunicationLane::Clock::time_point, CommunicationLane::Clock::time_point>;
    std::map<uint32_t, size_t> tickets; ///< Of those on the lane: their numbers there.
    std::map<uint32_t, Span> inOrder;
    std::vector<Span> waits; ///< When the main lane waited.
  };
  std::vector<std::vector<Part>> programs_; ///< Parallel to manifest().programs.
  Ranks *ranks_ = nullptr;
  LaneRun laneRun_;
  std::unique_ptr<CommunicationLane> lane_; ///< Made when it is first needed; ends before the device.
  bool fixedOrder_ = false;
  std::map<std::string, double> settingValues_;
  /// By buffer of a setting: what the device has. What has not changed is not written again.
  std::map<uint32_t, std::vector<std::byte>> written_;
  /// By buffer: the values the setup programs last saw.
  std::map<uint32_t, std::vector<std::byte>> setupSettings_;
  bool setupDone_ = false;
};

/// A scheduled setting's value at `step`, one number per element; after the last segment or piece
/// the value there is held.
std::vector<double> settingValuesAt(const Setting &setting, int64_t step);

} // namespace smelt::runtime
