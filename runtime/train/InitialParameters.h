//===- InitialParameters.h - Parameters from a file -------------*- C++ -*-===//
#pragma once

#include "runtime/train/Session.h"

namespace smelt::runtime {

/// The bundle's parameters by name, with types and shapes but no bytes.
std::map<std::string, TensorView> describeParameters(const Manifest &manifest);

/// Replaces all parameters by those of a safetensors file with Smelt's names or, with a layout (see
/// runtime/checkpoint/TensorLayout.h), somebody else's. Every one must be there and fit.
Status loadParameters(Session &session, const std::string &path, const std::string &layout);

} // namespace smelt::runtime
