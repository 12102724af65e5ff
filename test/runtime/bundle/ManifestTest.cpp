#include "test/runtime/bundle/ExampleManifest.h"

#include <cmath>
#include <functional>

using namespace smelt::runtime;
using smelt::runtime::test::exampleManifest;
using smelt::runtime::test::expectCorrupt;
using smelt::runtime::test::readBack;

TEST(ManifestTest, TextRoundTrips) {
  StatusOr<Manifest> parsed = Manifest();
  ASSERT_NO_FATAL_FAILURE(readBack(exampleManifest(), parsed));
  EXPECT_EQ(parsed->training.seed, 18446744073709551615u);
  EXPECT_EQ(parsed->buffers[0].init->value, 0.5);
  EXPECT_EQ(parsed->settings[0].segments[1].slope, -0.01);
  EXPECT_EQ(parsed->programs[0].launches[0].steps, std::vector<std::string>{"forward[0]"});
  EXPECT_EQ(parsed->findProgramByRole("update")->name, "update");
}

TEST(ManifestTest, RefusesEachBrokenField) {
  struct Case {
    const char *message; ///< Part of the expected message.
    std::function<void(Manifest &)> change;
  };
  const Case cases[] = {
      {"lie outside the arena", [](Manifest &m) { m.buffers[2].offset = 1 << 20; }},
      {"lie outside the arena", [](Manifest &m) { m.arenaBytes -= 64; }},
      {"not a multiple of", [](Manifest &m) { m.buffers[2].offset += 4; }},
      {"the shape needs", [](Manifest &m) { m.buffers[1].shape = {4, 9}; }},
      {"overflows", [](Manifest &m) { m.buffers[1].shape = {1 << 30, 1 << 30, 1 << 30}; }},
      {"overlap", [](Manifest &m) { m.buffers[1].offset = m.buffers[0].offset; }},
      {"overlap", [](Manifest &m) { m.buffers[2].offset = m.buffers[0].offset; }},
      {"two parameters", [](Manifest &m) { m.buffers[1].name = "weight"; }},
      {"there is no buffer", [](Manifest &m) { m.settings[0].buffer = 99; }},
      {"of kind setting", [](Manifest &m) { m.settings[0].buffer = 0; }},
      {"must begin a segment", [](Manifest &m) { m.settings[0].segments[1].first = 6; }},
      {"segments end at step", [](Manifest &m) { m.settings[0].segments.pop_back(); }},
      {"no segments", [](Manifest &m) { m.settings[0].segments.clear(); }},
      {"the runtime sets it", [](Manifest &m) { m.settings[1].segments = {{0, 9, 0, 0}}; }},
      {"appears twice", [](Manifest &m) { m.settings.push_back(m.settings[0]); }},
      {"no symbol", [](Manifest &m) { m.kernels[0].symbol = ""; }},
      {"takes 4 arguments", [](Manifest &m) { m.programs[0].launches[0].arguments.pop_back(); }},
      {"there is no kernel", [](Manifest &m) { m.programs[0].launches[0].kernel = 2; }},
      {"there is no buffer", [](Manifest &m) { m.programs[0].launches[0].arguments[0] = 10; }},
      {"there is no buffer", [](Manifest &m) { m.programs[0].inputs["tokens"] = 10; }},
      {"unknown role", [](Manifest &m) { m.programs[2].role = "downdate"; }},
      {"must be i32 [16]", [](Manifest &m) { m.programs[0].inputs["tokens"] = 0; }},
      {"\"loss_sum\" is missing", [](Manifest &m) { m.programs[1].outputs.erase("loss_sum"); }},
      {"must be one floating", [](Manifest &m) { m.programs[1].outputs["objective"] = 0; }},
      {"tokens must be positive", [](Manifest &m) { m.programs[0].tokens = 0; }},
      {"not a program of role train", [](Manifest &m) { m.training.stages[0].program = "update"; }},
      {"must begin a stage", [](Manifest &m) { m.training.stages[1].first = 7; }},
      {"stages end at step", [](Manifest &m) { m.training.stages.pop_back(); }},
      {"no setting \"accumulate\"", [](Manifest &m) { m.settings.pop_back(); }},
      {"role evaluate", [](Manifest &m) { m.training.validation.program = "nothing"; }},
      {"\"setup\" is not a program of role update",
       [](Manifest &m) { m.training.updates[0].program = "setup"; }},
      {"\"update\" never runs", [](Manifest &m) { m.training.updates.clear(); }},
      {"\"update\" appears twice",
       [](Manifest &m) { m.training.updates.push_back(m.training.updates[0]); }},
      {"offset 2 does not lie within", [](Manifest &m) { m.training.updates[0].period = {2, 2}; }},
      {"\"nothing\" is no setting",
       [](Manifest &m) { m.training.validation.finalSettings = {{"nothing", 1}}; }},
      {"\"accumulate\" is no setting with segments",
       [](Manifest &m) { m.training.validation.finalSettings = {{"accumulate", 1}}; }},
      {"start_token", [](Manifest &m) { m.data.order = SampleOrder::Documents; }},
      {"aligned needs a start_token", [](Manifest &m) { m.data.order = SampleOrder::Aligned; }},
      {"aligned needs ranks",
       [](Manifest &m) {
         m.data.order = SampleOrder::Aligned;
         m.data.startToken = 1;
       }},
      {"ranks is out of range", [](Manifest &m) { m.data.ranks = 2; }}, // In random order.
      {"not a plain file name", [](Manifest &m) { m.files["../x"] = m.files["cpu.so"]; }},
      {"64 hexadecimal", [](Manifest &m) { m.files["cpu.so"].sha256 = "abc"; }},
  };
  for (const Case &test : cases) {
    Manifest manifest = exampleManifest();
    test.change(manifest);
    StatusOr<Manifest> parsed = parseManifest(writeManifest(manifest));
    ASSERT_FALSE(parsed.isOk()) << test.message;
    EXPECT_EQ(parsed.status().code(), StatusCode::Corrupt);
    EXPECT_NE(parsed.status().message().find(test.message), std::string::npos)
        << parsed.status().message() << " lacks: " << test.message;
  }
}

/// The example with a constant table, and rows 2 and 3 of the weight as a buffer of its own.
static Manifest manifestWithTableAndRows() {
  Manifest m = exampleManifest();
  Buffer table;
  table.name = "table";
  table.kind = BufferKind::Constant;
  table.shape = {3};
  table.offset = m.arenaBytes;
  table.bytes = 12;
  table.init = Init{InitKind::Values, 0, {1, 2.5, -3}};
  Buffer rows;
  rows.shape = {2, 8};
  rows.offset = 64;
  rows.bytes = 64;
  rows.base = 0;
  m.arenaBytes += 64;
  m.buffers.push_back(table);
  m.buffers.push_back(rows);
  return m;
}

TEST(ManifestTest, TablesAndRowsRoundTrip) {
  StatusOr<Manifest> parsed = parseManifest(writeManifest(manifestWithTableAndRows()));
  ASSERT_TRUE(parsed.isOk()) << parsed.status().message();
  const Buffer &table = parsed->buffers[parsed->buffers.size() - 2], &rows = parsed->buffers.back();
  EXPECT_EQ(table.init->values, (std::vector<double>{1, 2.5, -3}));
  EXPECT_EQ(rows.base, 0u);
}

TEST(ManifestTest, RefusesBrokenTablesAndRows) {
  struct Case {
    const char *message;
    std::function<void(Buffer &table, Buffer &rows)> change;
  };
  const Case cases[] = {
      {"initial values", [](Buffer &table, Buffer &) { table.init->values.pop_back(); }},
      {"outside of its base", [](Buffer &, Buffer &rows) { rows.offset = 128; }},
      {"cannot be one", [](Buffer &, Buffer &rows) { rows.base = 99; }},
      {"cannot be one", [](Buffer &, Buffer &rows) { rows.kind = BufferKind::Setting; }},
      // A state may be a range, but then its elements are its own.
      {"overlap",
       [](Buffer &table, Buffer &rows) {
         rows.kind = table.kind = BufferKind::State;
         rows.name = "a", table.name = "b";
         table.base = rows.base, table.offset = rows.offset;
       }},
      {"overlap", [](Buffer &, Buffer &rows) { rows.base.reset(); }},
  };
  for (const Case &test : cases) {
    Manifest manifest = manifestWithTableAndRows();
    test.change(manifest.buffers[manifest.buffers.size() - 2], manifest.buffers.back());
    expectCorrupt(parseManifest(writeManifest(manifest)).status(), test.message);
  }
}

/// The example with a vector setting, a power, a copied state and final settings.
static Manifest manifestWithSchedules() {
  Manifest m = exampleManifest();
  auto add = [&](const char *name, BufferKind kind, std::vector<int64_t> shape) {
    Buffer buffer;
    buffer.name = name;
    buffer.kind = kind;
    buffer.bytes = *shapeBytes(shape, DType::F32);
    buffer.shape = std::move(shape);
    buffer.offset = m.arenaBytes;
    m.arenaBytes += (buffer.bytes + 63) / 64 * 64;
    m.buffers.push_back(std::move(buffer));
    return static_cast<uint32_t>(m.buffers.size() - 1);
  };
  m.settings.push_back({"frequencies",
                        add("frequencies", BufferKind::Setting, {2}),
                        {},
                        {{0, 4, {1, 0.5}}, {5, 9, {0.75, 0.25}}}});
  m.settings.push_back({"correction",
                        add("correction", BufferKind::Setting, {}),
                        {},
                        {},
                        OneMinusPower{0.95, {2, 1}}});
  uint32_t outer = add("outer.weight", BufferKind::State, {4, 8});
  m.buffers[outer].init = Init{InitKind::Copy};
  m.training.validation.finalSettings = {{"lr", 0.25}};
  m.training.updates[0].period = {28, 3};
  return m;
}

TEST(ManifestTest, SchedulesRoundTrip) {
  StatusOr<Manifest> parsed = Manifest();
  ASSERT_NO_FATAL_FAILURE(readBack(manifestWithSchedules(), parsed));
  EXPECT_EQ(parsed->settings[2].pieces[1].values, (std::vector<double>{0.75, 0.25}));
  EXPECT_EQ(parsed->settings[3].power->base, 0.95);
  EXPECT_EQ(parsed->settings[3].power->period.offset, 1);
  EXPECT_EQ(parsed->buffers.back().init->kind, InitKind::Copy);
  EXPECT_EQ(parsed->training.validation.finalSettings.at("lr"), 0.25);
  EXPECT_EQ(parsed->training.updates[0].period.every, 28);
  EXPECT_EQ(parsed->training.updates[0].period.offset, 3);
}

TEST(ManifestTest, RefusesBrokenSchedules) {
  struct Case {
    const char *message;
    std::function<void(Manifest &)> change;
  };
  const Case cases[] = {
      {"3 values for 2 elements", [](Manifest &m) { m.settings[2].pieces[1].values.push_back(1); }},
      {"must begin a segment", [](Manifest &m) { m.settings[2].pieces[1].first = 6; }},
      {"segments end at step 4", [](Manifest &m) { m.settings[2].pieces.pop_back(); }},
      {"not finite", [](Manifest &m) { m.settings[2].pieces[1].values[0] = INFINITY; }},
      {"is not one element", [](Manifest &m) { m.settings[3].buffer = m.settings[2].buffer; }},
      {"but not one of them", [](Manifest &m) { m.settings[3].segments = {{0, 9, 0, 0}}; }},
      {"is not in [0, 1)", [](Manifest &m) { m.settings[3].power->base = 1; }},
      {"does not lie within", [](Manifest &m) { m.settings[3].power->period = {2, 2}; }},
      {"no parameter of its type", [](Manifest &m) { m.buffers.back().init->source = 1; }},
      {"cannot begin as a copy", [](Manifest &m) { m.buffers.back().init->source = 99; }},
      {"cannot begin as a copy", [](Manifest &m) { m.buffers[0].init = Init{InitKind::Copy}; }},
  };
  for (const Case &test : cases) {
    Manifest manifest = manifestWithSchedules();
    test.change(manifest);
    expectCorrupt(validateManifest(manifest), test.message);
  }
}

TEST(ManifestTest, RefusesForeignAndNewerFormats) {
  auto message = [](const char *text) { return parseManifest(text).status().message(); };
  EXPECT_NE(message("[]").find("not a Smelt bundle"), std::string::npos);
  EXPECT_NE(message("{\"format\":\"safetensors\"}").find("not a Smelt bundle"), std::string::npos);
  EXPECT_NE(message("{\"format\":\"smelt-bundle\",\"version\":2}").find("newer than 1"),
            std::string::npos);
  EXPECT_NE(message("{\"format\":\"smelt-bundle\",\"version\":0}").find("positive"),
            std::string::npos);
  EXPECT_NE(message("{").find("not valid JSON"), std::string::npos);
}

TEST(ManifestTest, RefusesUnknownKeysAndWrongTypes) {
  std::string text = writeManifest(exampleManifest());
  auto replaced = [&](const std::string &from, const std::string &to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return parseManifest(changed).status();
  };
  EXPECT_NE(replaced("\"arena_bytes\"", "\"arena_size\"").message().find("arena_bytes"),
            std::string::npos);
  EXPECT_NE(replaced("\"label\"", "\"lable\"").message().find("unknown key \"lable\""),
            std::string::npos);
  EXPECT_NE(replaced("\"kernel\":0", "\"kernel\":-1").message().find("programs[0].launches[0]"),
            std::string::npos);
  EXPECT_NE(replaced("\"kernel\":0", "\"kernel\":1.5").message().find("integer"),
            std::string::npos);
  EXPECT_NE(replaced("\"value\":0.1", "\"value\":1e999").message().find("JSON"), std::string::npos);
}

// Whatever a byte turns into, parsing ends with a manifest or with a failure of the right code.
TEST(ManifestTest, MutatedTextNeverCrashes) {
  std::string text = writeManifest(exampleManifest());
  uint32_t random = 12345;
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string changed = text;
    for (int edits = 0; edits < 1 + i % 3; ++edits) {
      random = random * 1664525 + 1013904223;
      changed[random % changed.size()] = "0123456789-\"{}[],:eE. a\xff\x01"[(random >> 20) % 25];
    }
    if (i % 7 == 0)
      changed.resize(random % changed.size());
    StatusOr<Manifest> parsed = parseManifest(changed);
    if (!parsed.isOk()) {
      ASSERT_EQ(parsed.status().code(), StatusCode::Corrupt);
      ++refused;
    }
  }
  EXPECT_GT(refused, 2000);
}
