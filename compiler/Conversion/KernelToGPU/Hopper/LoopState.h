//===- LoopState.h - What a loop carries, as a struct ------------*- C++ -*-===//
//
// scf's loops carry a flat list of values. A struct that says once which values it has, in
// forEachValue, is carried from step to step as it is:
//
//   struct Running {
//     RingPosition at;
//     SmallVector<Value> sums;
//     template <typename F> void forEachValue(F &&each) { each(at), each(sums); }
//   };
//   Running end = loopState(code, first, last, start, [&](Value i, const Running &now) {
//     return Running{ring.advance(now.at), add(now.sums, i)};
//   });
//
// A list has as many values in each step as at the start.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_LOOPSTATE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_LOOPSTATE_H

#include "compiler/Conversion/KernelToGPU/Hopper/CodeBuilder.h"

namespace smelt::gpu {

/// Calls `visit` for every Value of a Value, a list, or a struct with forEachValue, in order.
template <typename State, typename Visit> void visitValues(State &state, Visit &visit) {
  if constexpr (std::is_same_v<State, Value>)
    visit(state);
  else if constexpr (requires { state.begin(); })
    for (Value &value : state)
      visit(value);
  else
    state.forEachValue([&](auto &part) { visitValues(part, visit); });
}

/// for (i = first; i < end; ++i) state = body(i, state), unsigned. Returns the state after the
/// loop.
template <typename State, typename Body>
State loopState(CodeBuilder &code, Value first, Value end, State start, Body &&body) {
  auto flatten = [](State state) {
    llvm::SmallVector<Value> values;
    auto append = [&](Value &value) { values.push_back(value); };
    visitValues(state, append);
    return values;
  };
  auto assemble = [&](ValueRange values) {
    State state = start; // Lists of the right length.
    auto next = values.begin();
    auto assign = [&](Value &value) { value = *next++; };
    visitValues(state, assign);
    return state;
  };
  return assemble(code.loop(first, end, code.i32(1), flatten(start),
                            [&](Value i, ValueRange carried) -> llvm::SmallVector<Value> {
                              return flatten(body(i, assemble(carried)));
                            }));
}

} // namespace smelt::gpu
#endif
