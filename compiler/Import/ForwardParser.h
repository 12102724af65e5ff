//===- ForwardParser.h - Parses the steps of 'forward' ----------*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_FORWARDPARSER_H
#define SMELT_COMPILER_IMPORT_FORWARDPARSER_H

#include "compiler/Import/ParseValues.h"

namespace smelt {

/// What a step list works on and what it may hold.
struct Place {
  bool heads = false;    // [T, H, d] instead of [T, D]
  bool inLayers = false; // per-layer scalars and `only` have a layer
  bool isForward = false;
  bool allowsBlocks = false; // attention and mlp
};

/// Fills Spec's `forward`. Steps that act on one tensor are parsed in ParseForward.cpp, the blocks
/// with lists of their own (attention, mlp, head) in ParseBlocks.cpp.
class ForwardParser : public ValueParser {
public:
  using ValueParser::ValueParser;
  void parse();

private:
  StepList parseList(const JsonValue &list, Place place);
  StepList parseOptionalList(const JsonValue &owner, llvm::StringRef key, Place place);
  void parseStep(const JsonValue &object, Place place, StepList &steps);
  /// Fills step.op; false when the step cannot stand here (which was reported).
  bool parseOp(const JsonMember &op, Place place, Step &step);
  /// Which layers `only` or `except` leave; empty: all.
  std::vector<bool> parseLayers(const JsonValue &object, Place place);

  void parseSave(const JsonMember &op, Place place, Step &step);
  GateSpec parseGate(const JsonMember &member);
  TokenShiftStep parseTokenShift(const JsonMember &op, Place place);
  void parseShiftedHeads(const JsonMember &heads, Place place, TokenShiftStep &shift);
  AddEmbeddingStep parseAddEmbedding(const JsonMember &op, Place place);
  Window parseWindow(const JsonValue &value);
  void parseWindows(const JsonValue &value, Place place, AttentionStep &attention);
  AttentionStep parseAttention(const JsonMember &op, Place place);
  MlpStep parseMlp(const JsonMember &op, Place place);
  HeadStep parseHead(const JsonMember &op);

  bool refuse(const JsonMember &op, llvm::StringRef why);
  /// `text`: how the spec writes it, where that is not the number.
  bool checkLayer(Mark mark, int64_t layer, llvm::StringRef text = "");
  /// The layer that an entry's key is; none after an error.
  std::optional<int64_t> parseLayerKey(const JsonMember &entry);
  bool checkTable(const JsonValue &name);
  bool checkHeadsSpanModel(const JsonMember &op);

  std::optional<Mark> layersMark;
  bool reportedRope = false;
};

} // namespace smelt
#endif
