//===- HtmlReport.h - report.html of a run folder ---------------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <string>

namespace smelt::runtime {

/// Reads RUN/run.json and RUN/log.jsonl and writes RUN/report.html: one self-contained page with
/// the loss curves, the settings and the learned scalars as inline SVG.
Status writeHtmlReport(const std::string &runPath);

} // namespace smelt::runtime
