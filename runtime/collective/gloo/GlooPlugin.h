//===- GlooPlugin.h - What libsmelt_gloo.so exports -------------*- C++ -*-===//
#pragma once

#include "runtime/collective/Collective.h"
#include "runtime/collective/Peers.h"

namespace smelt::runtime {

inline constexpr const char *kGlooPluginFile = "libsmelt_gloo.so";
/// Of Collective.h and Peers.h; to be raised when either changes. A plugin of another build is
/// refused.
inline constexpr int kGlooPluginInterface = 3;

/// int smeltGlooInterface(): kGlooPluginInterface.
using GlooInterface = int();
/// Collective *smeltGlooMake(peers, failure): the caller's own, or null and why.
using GlooMake = Collective *(Peers &, Status &);

} // namespace smelt::runtime
