#include "runtime/checkpoint/TensorLayout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace smelt::runtime;

namespace {
/// A model's parameters; each element of each has a value of its own.
class Model {
public:
  void add(const std::string &name, DType dtype, std::vector<int64_t> shape) {
    std::span<std::byte> bytes = set.add(name, dtype, shape);
    for (size_t at = 0; at < bytes.size(); at += dtypeBytes(dtype))
      storeElement(dtype, dtype == DType::BF16 ? std::fmod(next++, 256) : next++,
                   bytes.data() + at); // bf16 has the integers up to 256.
  }
  TensorSet set;
  double next = 1;
};

double at(const TensorView &tensor, size_t index) {
  return loadElement(tensor.dtype, tensor.data.data() + index * dtypeBytes(tensor.dtype));
}

/// The short record at D = 4, two heads, three layers, the middle one without attention.
TensorSet makeShort() {
  Model model;
  model.add("embeddings.token", DType::BF16, {8, 4});
  model.add("embeddings.value.0", DType::BF16, {8, 4});
  model.add("embeddings.value.1", DType::BF16, {8, 4});
  model.add("forward.1.gate", DType::BF16, {1, 3});
  for (int layer : {0, 1, 2}) {
    std::string name = concat("layers.", layer);
    if (layer != 1) {
      model.add(name + ".attention.qkv", DType::F32, {12, 4});
      model.add(name + ".attention.out", DType::F32, {4, 4});
      model.add(name + ".attention.output.0.gate", DType::BF16, {2, 3});
      model.add(concat("scalars.qkv.", layer), DType::F32, {});
      model.add(concat("scalars.out.", layer), DType::F32, {});
    }
    model.add(name + ".mlp.up", DType::F32, {16, 4});
    model.add(name + ".mlp.down", DType::F32, {16, 4});
    model.add(concat("scalars.resid.", layer), DType::F32, {});
    model.add(concat("scalars.x0.", layer), DType::F32, {});
  }
  model.add("head", DType::BF16, {8, 4});
  for (const char *name : {"scalars.smear", "scalars.backout", "scalars.skip"})
    model.add(name, DType::F32, {});
  return std::move(model.set);
}

/// The medium record at D = 2, two layers.
TensorSet makeMedium() {
  Model model;
  for (const char *name : {"embeddings.first", "embeddings.second", "embeddings.value.0"})
    model.add(name, DType::BF16, {5, 2});
  for (int layer : {0, 1}) {
    std::string name = concat("layers.", layer);
    model.add(name + ".attention.qkv", DType::BF16, {6, 2});
    model.add(name + ".attention.out", DType::BF16, {2, 2});
    model.add(name + ".mlp.up", DType::BF16, {8, 2});
    model.add(name + ".mlp.down", DType::BF16, {2, 8});
    for (const char *scalar : {"resid", "x00", "x01", "v_self"})
      model.add(concat("scalars.", scalar, ".", layer), DType::F32, {});
  }
  model.add("scalars.skip.0", DType::F32, {});
  model.add("scalars.v_embed.1", DType::F32, {});
  model.add("head", DType::F32, {8, 2});
  for (const char *name : {"scalars.smear_mtp", "scalars.final", "scalars.backout"})
    model.add(name, DType::F32, {});
  return std::move(model.set);
}

std::vector<std::string> namesOf(const TensorSet &set) {
  std::vector<std::string> names;
  for (const auto &[name, tensor] : set.views())
    names.push_back(name);
  return names;
}

void expectEqual(const TensorSet &a, const TensorSet &b) {
  ASSERT_EQ(namesOf(a), namesOf(b));
  for (const auto &[name, tensor] : a.views()) {
    const TensorView &other = b.views().at(name);
    EXPECT_EQ(tensor.dtype, other.dtype) << name;
    EXPECT_EQ(tensor.shape, other.shape) << name;
    ASSERT_EQ(tensor.data.size(), other.data.size()) << name;
    EXPECT_EQ(std::memcmp(tensor.data.data(), other.data.data(), tensor.data.size()), 0) << name;
  }
}

const std::string &records() {
  static const std::string layout = *findLayout("modded-nanogpt");
  return layout;
}
} // namespace

TEST(TensorLayoutTest, TheShortRecordsStateDict) {
  TensorSet model = makeShort();
  auto laid = applyLayout(records(), model.views());
  ASSERT_TRUE(laid.isOk()) << laid.status().message();
  const auto &t = laid->views();
  EXPECT_EQ(namesOf(*laid),
            (std::vector<std::string>{
                "blocks.0.attn.attn_gate.weight", "blocks.0.attn.qkvo_w", "blocks.0.mlp.c_fc",
                "blocks.0.mlp.c_proj", "blocks.1.mlp.c_fc", "blocks.1.mlp.c_proj",
                "blocks.2.attn.attn_gate.weight", "blocks.2.attn.qkvo_w", "blocks.2.mlp.c_fc",
                "blocks.2.mlp.c_proj", "embed.weight", "lm_head.weight", "scalars",
                "smear_gate.weight", "value_embeds.0.weight", "value_embeds.1.weight"}));
  EXPECT_EQ(t.at("blocks.2.attn.qkvo_w").shape, (std::vector<int64_t>{16, 4}));
  EXPECT_EQ(at(t.at("blocks.2.attn.qkvo_w"), 0), at(model.views().at("layers.2.attention.qkv"), 0));
  EXPECT_EQ(at(t.at("blocks.2.attn.qkvo_w"), 48),
            at(model.views().at("layers.2.attention.out"), 0));
  EXPECT_EQ(t.at("embed.weight").dtype, DType::BF16);
  // resid ×3, x0 ×3, (qkv, out) ×3, smear, backout, skip: 15, padded to 16.
  const TensorView &scalars = t.at("scalars");
  ASSERT_EQ(scalars.shape, (std::vector<int64_t>{16}));
  auto scalar = [&](const char *name) { return at(model.views().at(name), 0); };
  EXPECT_EQ(at(scalars, 1), scalar("scalars.resid.1"));
  EXPECT_EQ(at(scalars, 5), scalar("scalars.x0.2"));
  EXPECT_EQ(at(scalars, 7), scalar("scalars.out.0"));
  EXPECT_EQ(at(scalars, 8), 0.5); // Layer 1 has no attention: the record's initial values.
  EXPECT_EQ(at(scalars, 9), 1.0);
  EXPECT_EQ(at(scalars, 10), scalar("scalars.qkv.2"));
  EXPECT_EQ(at(scalars, 14), scalar("scalars.skip"));
  EXPECT_EQ(at(scalars, 15), 1.0);
}

TEST(TensorLayoutTest, TheMediumRecordsStateDict) {
  TensorSet model = makeMedium();
  auto laid = applyLayout(records(), model.views());
  ASSERT_TRUE(laid.isOk()) << laid.status().message();
  const auto &t = laid->views();
  EXPECT_EQ(t.at("blocks.1.attn.qkvo_w").shape, (std::vector<int64_t>{4, 2, 2}));
  EXPECT_EQ(t.at("blocks.1.mlp.proj_w").shape, (std::vector<int64_t>{2, 8}));
  EXPECT_EQ(t.at("lm_head_w").dtype, DType::F32);
  // skip ×2, (resid, x00, x01) ×2, (v_self, v_embed) ×2, smear, final, backout.
  const TensorView &scalars = t.at("scalars");
  ASSERT_EQ(scalars.shape, (std::vector<int64_t>{15}));
  auto scalar = [&](const char *name) { return at(model.views().at(name), 0); };
  EXPECT_EQ(at(scalars, 0), scalar("scalars.skip.0"));
  EXPECT_EQ(at(scalars, 1), 1.0);
  EXPECT_EQ(at(scalars, 6), scalar("scalars.x00.1"));
  EXPECT_EQ(at(scalars, 9), 0.5);
  EXPECT_EQ(at(scalars, 11), scalar("scalars.v_embed.1"));
  EXPECT_EQ(at(scalars, 12), scalar("scalars.smear_mtp"));
  EXPECT_EQ(at(scalars, 13), scalar("scalars.final"));
}

TEST(TensorLayoutTest, BothWaysGiveTheSameBits) {
  for (auto make : {makeShort, makeMedium}) {
    TensorSet model = make();
    auto laid = applyLayout(records(), model.views());
    ASSERT_TRUE(laid.isOk()) << laid.status().message();
    auto back = undoLayout(records(), laid->views(), model.views());
    ASSERT_TRUE(back.isOk()) << back.status().message();
    expectEqual(*back, model);
  }
}

TEST(TensorLayoutTest, TakesOtherPaddingCompiledModulesAndWiderTypes) {
  TensorSet model = makeShort(), other;
  auto laid = applyLayout(records(), model.views());
  ASSERT_TRUE(laid.isOk());
  for (const auto &[name, tensor] : laid->views()) {
    bool widen = name == "embed.weight", shorten = name == "scalars"; // 15 of 16: no padding.
    std::vector<int64_t> shape = shorten ? std::vector<int64_t>{15} : tensor.shape;
    DType dtype = widen ? DType::F32 : tensor.dtype;
    std::span<std::byte> to = other.add("_orig_mod." + name, dtype, shape);
    TensorView from = tensor;
    from.data = from.data.first(to.size() / dtypeBytes(dtype) * dtypeBytes(tensor.dtype));
    ASSERT_TRUE(convertElements(from, dtype, to).isOk());
  }
  auto back = undoLayout(records(), other.views(), model.views());
  ASSERT_TRUE(back.isOk()) << back.status().message();
  expectEqual(*back, model);
}

TEST(TensorLayoutTest, SaysWhatDoesNotFit) {
  TensorSet model = makeShort();
  auto failure = [](const StatusOr<TensorSet> &result) {
    EXPECT_EQ(result.isOk() ? 0 : exitCode(result.status().code()), 4);
    return result.isOk() ? std::string() : result.status().message();
  };
  auto contains = [](const std::string &text, const char *part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  TensorSet more = makeShort();
  more.add("layers.0.attention.k.2.gate", DType::F32, {1, 3});
  contains(failure(applyLayout(records(), more.views())),
           "no place for the parameter \"layers.0.attention.k.2.gate\"");
  auto laid = *applyLayout(records(), model.views());
  auto tensors = laid.views();
  tensors.erase("lm_head.weight");
  contains(failure(undoLayout(records(), tensors, model.views())),
           "there is no tensor \"lm_head.weight\"");
  tensors = laid.views();
  tensors["lm_head.bias"] = tensors["scalars"];
  contains(failure(undoLayout(records(), tensors, model.views())),
           "no place for the tensor \"lm_head.bias\"");
  tensors = laid.views();
  tensors["smear_gate.weight"].shape = {3, 1};
  contains(failure(undoLayout(records(), tensors, model.views())),
           "smear_gate.weight: it has the shape [3,1], the model needs [1,3]");
  float third = 1.0f / 3;
  TensorView rounded = {DType::F32, {1}, std::as_bytes(std::span(&third, 1))};
  std::byte to[2];
  EXPECT_EQ(convertElements(rounded, DType::BF16, to).code(), StatusCode::Corrupt);
  EXPECT_EQ(findLayout("nanogpt").status().code(), StatusCode::Usage);
  contains(findLayout("nanogpt").status().message(), "there is modded-nanogpt");
}

TEST(TensorLayoutTest, RefusesLayoutsThatMeanNothing) {
  TensorSet model;
  model.add("a", DType::F32, {2, 2});
  for (
      auto [layout, message] :
      {std::pair("[]", "expected"), std::pair(R"({"smelt_layout":2})", "smelt_layout"),
       std::pair(R"({"smelt_layout":1,"variants":[]})", "does not fit"),
       std::pair(
           R"({"smelt_layout":1,"variants":[{"name":"v","tensors":{"x":{"rows":["a"],"by":1}}}]})",
           "unknown key \"by\""),
       std::pair(
           R"({"smelt_layout":1,"variants":[{"name":"v","tensors":{"x":{"rows":["a","a"]}}}]})",
           "a has two places"),
       std::pair(
           R"({"smelt_layout":1,"variants":[{"name":"v","tensors":{"x":{"rows":["a"],"split":3}}}]})",
           "do not split into 3"),
       std::pair(
           R"({"smelt_layout":1,"variants":[{"name":"v","tensors":{"x":{"scalars":["a"]}}}]})",
           "a is no scalar")}) {
    Status status = applyLayout(layout, model.views()).status();
    EXPECT_EQ(status.code(), StatusCode::Corrupt);
    EXPECT_NE(status.message().find(message), std::string::npos) << status.message();
  }
}
