// Manifests for several ranks: collectives, lanes, parts of tensors, masters.
#include "test/runtime/bundle/ExampleManifest.h"

#include <functional>

using namespace smelt::runtime;
using smelt::runtime::test::exampleManifest;
using smelt::runtime::test::expectCorrupt;
using smelt::runtime::test::gradientOf;
using smelt::runtime::test::readBack;

/// The example for two ranks, whose update sums two buffers.
static Manifest manifestWithRanks() {
  Manifest m = exampleManifest();
  for (Stage &stage : m.training.stages)
    stage.microBatches *= 2;
  m.training.ranks = 2;
  for (Program &program : m.programs)
    if (program.role == "update")
      program.collectives = {{CollectiveKind::AllReduce, 0, {gradientOf(m)}},
                             {CollectiveKind::AllReduce, 1, {gradientOf(m), gradientOf(m)}}};
  return m;
}

TEST(RankManifestTest, CollectivesRoundTrip) {
  StatusOr<Manifest> parsed = Manifest();
  ASSERT_NO_FATAL_FAILURE(readBack(manifestWithRanks(), parsed));
  EXPECT_EQ(parsed->training.ranks, 2);
  const Program &update = *parsed->findProgramByRole("update");
  ASSERT_EQ(update.collectives.size(), 2u);
  EXPECT_EQ(update.collectives[1].before, 1u);
  EXPECT_EQ(update.collectives[1].buffers, std::vector<uint32_t>(2, gradientOf(*parsed)));
}

TEST(RankManifestTest, RefusesBrokenCollectives) {
  struct Case {
    const char *message;
    std::function<void(Manifest &, Program &)> change;
  };
  const Case cases[] = {
      {"do not divide among 3 ranks", [](Manifest &m, Program &) { m.training.ranks = 3; }},
      {"there are collectives, but one rank", [](Manifest &m, Program &) { m.training.ranks = 1; }},
      {"no place before launch 9", [](Manifest &, Program &p) { p.collectives[1].before = 9; }},
      {"no place before launch 0",
       [](Manifest &, Program &p) { std::swap(p.collectives[0], p.collectives[1]); }},
      {"one has no buffers", [](Manifest &, Program &p) { p.collectives[0].buffers.clear(); }},
      {"there is no buffer 99", [](Manifest &, Program &p) { p.collectives[0].buffers = {99}; }},
      {"is i32",
       [](Manifest &m, Program &p) {
         p.collectives[0].buffers = {m.findProgramByRole("train")->inputs.at("tokens")};
       }},
  };
  for (const Case &broken : cases) {
    Manifest manifest = manifestWithRanks();
    for (Program &program : manifest.programs)
      if (program.role == "update") {
        broken.change(manifest, program);
        break;
      }
    expectCorrupt(validateManifest(manifest), broken.message);
  }
}

/// With a program that is the whole end of a step: the sum runs beside whatever does not need it.
static Manifest manifestWithLanes() {
  Manifest m = manifestWithRanks();
  Program last = *m.findProgramByRole("train");
  const Program &update = *m.findProgramByRole("update");
  auto from = static_cast<uint32_t>(last.launches.size());
  last.last = {last.name, {update.name}, from};
  last.name += ".last";
  last.launches.insert(last.launches.end(), update.launches.begin(), update.launches.end());
  last.collectives = {
      {CollectiveKind::AllReduce, from, {last.launches[from].arguments[0]}, /*onLane=*/true}};
  last.launches[from].wait = {0};
  m.training.collectiveBlocks = 24;
  m.training.updates = {{update.name, {2, 1}}};
  m.programs.push_back(last);
  return m;
}

TEST(RankManifestTest, LanesRoundTrip) {
  Manifest m = manifestWithLanes();
  StatusOr<Manifest> parsed = Manifest();
  ASSERT_NO_FATAL_FAILURE(readBack(m, parsed));
  const Program &train = *parsed->findProgramByRole("train");
  EXPECT_EQ(parsed->findLastOfStep(train, 0), nullptr); // No update is due.
  const Program *last = parsed->findLastOfStep(train, 1);
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->last->updatesFrom, train.launches.size());
  EXPECT_TRUE(last->collectives[0].onLane);
  EXPECT_EQ(last->launches[last->last->updatesFrom].wait, std::vector<uint32_t>{0});
  EXPECT_EQ(parsed->training.collectiveBlocks, 24);
}

TEST(RankManifestTest, RefusesRacesBetweenLanes) {
  struct Case {
    const char *message;
    std::function<void(Program &)> change;
  };
  auto from = [](Program &program) -> Launch & {
    return program.launches[program.last->updatesFrom];
  };
  const Case cases[] = {
      {"beside collective 0 and does not wait for it", [&](Program &p) { from(p).wait.clear(); }},
      {"it waits for collective 7, which has not begun", [&](Program &p) { from(p).wait = {7}; }},
      {"it waits for collective 0, which has not begun",
       [](Program &p) { p.collectives[0].onLane = false; }},
      {"it is on the communication lane and waits",
       [](Program &p) { p.collectives[0].wait = {0}; }},
      {"\"x\" is not a program of role train", [](Program &p) { p.last->program = "x"; }},
      {"\"x\" is not a program of role update", [](Program &p) { p.last->updates = {"x"}; }},
      {"there is no launch 99", [](Program &p) { p.last->updatesFrom = 99; }},
  };
  for (const Case &broken : cases) {
    Manifest manifest = manifestWithLanes();
    broken.change(manifest.programs.back());
    expectCorrupt(validateManifest(manifest), broken.message);
  }
}

/// Whose gradient is summed part by part, and whose weight is made of parts.
static Manifest manifestWithParts() {
  Manifest m = manifestWithRanks();
  uint32_t gradient = gradientOf(m), weight = 0, state = 1;
  for (uint32_t index : {gradient, weight}) {
    m.buffers[index].offset = m.arenaBytes;
    m.buffers[index].bytes = 512;
    m.arenaBytes += 512;
  }
  Buffer part = m.buffers[weight];
  part.kind = BufferKind::Workspace;
  part.init.reset();
  part.name = "weight.part";
  part.bytes = 64;
  part.shape = {2, 8};
  part.base = weight;
  part.rankStride = 256;
  m.buffers.push_back(part);
  m.buffers[state].shape = {2, 8};
  m.buffers[state].partOf = {{"adam.m.a", 1}, {"adam.m.b", 3}};
  for (Program &program : m.programs)
    if (program.role == "update")
      program.collectives = {{CollectiveKind::ReduceScatter, 0, {gradient}},
                             {CollectiveKind::AllGather, 1, {weight}}};
  return m;
}

TEST(RankManifestTest, PartsRoundTrip) {
  StatusOr<Manifest> parsed = Manifest();
  ASSERT_NO_FATAL_FAILURE(readBack(manifestWithParts(), parsed));
  EXPECT_EQ(parsed->buffers.back().rankStride, 256u);
  EXPECT_EQ(parsed->buffers[1].partOf[1].name, "adam.m.b");
  EXPECT_EQ(parsed->buffers[1].partOf[1].rows, 3);
  const Program &update = *parsed->findProgramByRole("update");
  EXPECT_EQ(update.collectives[0].kind, CollectiveKind::ReduceScatter);
  EXPECT_EQ(update.collectives[1].kind, CollectiveKind::AllGather);
}

/// Whose weight is bf16, and made of parts of a master.
static Manifest manifestWithMaster() {
  Manifest m = manifestWithParts();
  Buffer &weight = m.buffers[0], &part = m.buffers.back();
  weight.dtype = part.dtype = DType::BF16;
  Buffer master = m.buffers[1];
  master.name = "master.weight";
  master.offset = m.arenaBytes;
  master.bytes = 512;
  master.shape = {2, 8};
  master.init = Init{InitKind::Master};
  master.partOf = {{"weight", 4}};
  m.arenaBytes += 512;
  m.buffers.push_back(master);
  return m;
}

TEST(RankManifestTest, MastersRoundTrip) {
  EXPECT_NE(writeManifest(manifestWithMaster()).find("\"init\":{\"master\":true}"),
            std::string::npos);
  StatusOr<Manifest> parsed = Manifest();
  ASSERT_NO_FATAL_FAILURE(readBack(manifestWithMaster(), parsed));
  EXPECT_TRUE(parsed->buffers.back().isMaster());
  EXPECT_FALSE(parsed->buffers[1].isMaster());
  ASSERT_EQ(parsed->findMasters().size(), 1u);
  EXPECT_EQ(parsed->findMasters().at("weight"), &parsed->buffers.back());
}

TEST(RankManifestTest, RefusesBrokenMasters) {
  struct Case {
    const char *message;
    std::function<void(Manifest &)> change;
  };
  const Case cases[] = {
      {"it is a master of nothing", [](Manifest &m) { m.buffers.back().partOf.clear(); }},
      {"cannot be the master of \"other\"",
       [](Manifest &m) { m.buffers.back().partOf[0].name = "other"; }},
      {"cannot be the master of \"weight\"",
       [](Manifest &m) { m.buffers.back().partOf[0].rows = 3; }},
      {"cannot be the master of \"weight\"", [](Manifest &m) { m.buffers[0].dtype = DType::F32; }},
      {"cannot be a part of other tensors",
       [](Manifest &m) { m.buffers.back().kind = BufferKind::Workspace; }},
      {"cannot be the master of \"weight\"",
       [](Manifest &m) {
         Buffer second = m.buffers.back();
         second.offset = m.arenaBytes;
         m.arenaBytes += 512;
         m.buffers.push_back(second);
       }},
  };
  for (const Case &broken : cases) {
    Manifest manifest = manifestWithMaster();
    broken.change(manifest);
    expectCorrupt(validateManifest(manifest), broken.message);
  }
}

TEST(RankManifestTest, RefusesBrokenParts) {
  struct Case {
    const char *message;
    std::function<void(Manifest &)> change;
  };
  const Case cases[] = {
      {"not one rank's part", [](Manifest &m) { m.buffers.back().rankStride = 128; }},
      {"not one rank's part", [](Manifest &m) { m.buffers.back().rankStride = 0; }},
      {"not one rank's part", [](Manifest &m) { m.buffers.back().bytes = 257; }},
      {"is for ranges of another buffer", [](Manifest &m) { m.buffers.back().base.reset(); }},
      {"cannot be a part of other tensors",
       [](Manifest &m) { m.buffers[0].partOf = {{"adam.m.c", 2}}; }},
      {"which has 0 rows", [](Manifest &m) { m.buffers[1].partOf[0].rows = 0; }},
      {"less than 5 rows", [](Manifest &m) { m.buffers[1].partOf[0].rows = 2; }},
      {"have the name \"adam.m.a\"", [](Manifest &m) { m.buffers[1].partOf[1].name = "adam.m.a"; }},
      {"is not one part for each of 2 ranks",
       [](Manifest &m) { m.buffers[gradientOf(m)].bytes = 384; }},
  };
  for (const Case &broken : cases) {
    Manifest manifest = manifestWithParts();
    broken.change(manifest);
    expectCorrupt(validateManifest(manifest), broken.message);
  }
}
