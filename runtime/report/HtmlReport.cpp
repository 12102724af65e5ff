#include "runtime/report/HtmlReport.h"
#include "runtime/base/Files.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

namespace smelt::runtime {

using nlohmann::json;

namespace {
/// (step, value), in order.
using Series = std::vector<std::pair<double, double>>;

struct RunData {
  json run;
  Series train, validation;
  std::map<std::string, Series> settings, scalars;
  std::string finalHash;
};

std::string escape(const std::string &text) {
  std::string result;
  for (char c : text) {
    switch (c) {
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '&':
      result += "&amp;";
      break;
    case '"':
      result += "&quot;";
      break;
    default:
      result += c;
    }
  }
  return result;
}

std::string format(const char *pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

void addPoint(Series &series, double step, const json &value) {
  if (value.is_number() && std::isfinite(value.get<double>()))
    series.emplace_back(step, value.get<double>());
}

void addLine(RunData &data, const json &line) {
  if (!line.is_object() || !line.contains("step") || !line["step"].is_number())
    return;
  double step = line["step"].get<double>();
  if (line.contains("train_loss"))
    addPoint(data.train, step, line["train_loss"]);
  if (line.contains("val_loss"))
    addPoint(data.validation, step, line["val_loss"]);
  if (line.contains("final_hash") && line["final_hash"].is_string())
    data.finalHash = line["final_hash"].get<std::string>();
  for (auto [key, group] :
       {std::pair("settings", &data.settings), std::pair("scalars", &data.scalars)})
    if (line.contains(key) && line[key].is_object())
      for (const auto &[name, value] : line[key].items())
        addPoint((*group)[name], step, value);
}

StatusOr<RunData> readRun(const std::string &runPath) {
  RunData data;
  SMELT_ASSIGN_OR_RETURN(std::string run, readFile(runPath + "/run.json"));
  data.run = json::parse(run, nullptr, /*allow_exceptions=*/false);
  SMELT_ASSIGN_OR_RETURN(std::string log, readFile(runPath + "/log.jsonl"));
  for (size_t at = 0, end; (end = log.find('\n', at)) != std::string::npos; at = end + 1)
    addLine(data, json::parse(log.begin() + static_cast<std::ptrdiff_t>(at),
                              log.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false));
  return data;
}

/// At most `count` points: means of equal runs of points.
Series thin(const Series &series, size_t count) {
  if (series.size() <= count)
    return series;
  Series result;
  for (size_t i = 0; i < count; ++i) {
    size_t first = i * series.size() / count, last = (i + 1) * series.size() / count;
    double step = 0, value = 0;
    for (size_t k = first; k < last; ++k)
      step += series[k].first, value += series[k].second;
    auto points = static_cast<double>(last - first);
    result.emplace_back(step / points, value / points);
  }
  return result;
}

struct Curve {
  const Series *series;
  const char *colour;
  bool dots;
};

/// Margins around the plot area, in pixels.
constexpr double kLeft = 56, kRight = 12, kTop = 10, kBottom = 24;

std::string drawChart(const std::vector<Curve> &curves, double width, double height) {
  double x0 = 1e300, x1 = -1e300, y0 = 1e300, y1 = -1e300;
  for (const Curve &curve : curves)
    for (auto [x, y] : *curve.series)
      x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
  if (x0 > x1)
    return "<p>no points</p>";
  if (x1 - x0 <= 0)
    x1 = x0 + 1;
  double margin = y1 - y0 > 0 ? (y1 - y0) * 0.05 : std::max(std::fabs(y0) * 0.1, 1e-6);
  y0 -= margin, y1 += margin;
  auto px = [&](double x) { return kLeft + (x - x0) / (x1 - x0) * (width - kLeft - kRight); };
  auto py = [&](double y) { return kTop + (y1 - y) / (y1 - y0) * (height - kTop - kBottom); };
  std::string svg = concat("<svg viewBox=\"0 0 ", width, " ", height, "\" width=\"", width, "\">");
  for (int i = 0; i <= 4; ++i) {
    double y = y0 + (y1 - y0) * i / 4, x = x0 + (x1 - x0) * i / 4;
    svg +=
        concat("<line class=\"grid\" x1=\"", kLeft, "\" x2=\"", width - kRight, "\" y1=\"", py(y),
               "\" y2=\"", py(y), "\"/><text x=\"", kLeft - 4, "\" y=\"", py(y) + 4,
               "\" text-anchor=\"end\">", format("%.4g", y), "</text><text x=\"", px(x), "\" y=\"",
               height - 6, "\" text-anchor=\"middle\">", format("%.0f", x), "</text>");
  }
  for (const Curve &curve : curves) {
    std::string points;
    for (auto [x, y] : thin(*curve.series, 800)) {
      points += concat(format("%.1f", px(x)), ",", format("%.1f", py(y)), " ");
      if (curve.dots)
        svg += concat("<circle r=\"2.5\" fill=\"", curve.colour, "\" cx=\"", format("%.1f", px(x)),
                      "\" cy=\"", format("%.1f", py(y)), "\"/>");
    }
    svg += concat("<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"", curve.colour,
                  "\" points=\"", points, "\"/>");
  }
  return svg + "</svg>";
}

std::string drawSmallCharts(const char *title, const std::map<std::string, Series> &group) {
  if (group.empty())
    return "";
  std::string html = concat("<h2>", title, "</h2><div class=\"small\">");
  for (const auto &[name, series] : group)
    html += concat("<figure><figcaption>", escape(name), " = ",
                   format("%.6g", series.empty() ? 0 : series.back().second), "</figcaption>",
                   drawChart({{&series, "#06c", false}}, 320, 130), "</figure>");
  return html + "</div>";
}

std::string renderPage(const RunData &data) {
  auto text = [&](const char *key) {
    json value = data.run.is_object() && data.run.contains(key) ? data.run[key] : json();
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  std::string rows;
  auto row = [&](const std::string &name, const std::string &value) {
    rows += concat("<tr><th>", escape(name), "</th><td>", escape(value), "</td></tr>");
  };
  if (!data.validation.empty())
    row("validation loss", format("%.4f", data.validation.back().second));
  if (!data.train.empty()) {
    row("training loss", format("%.4f", data.train.back().second));
    row("steps", format("%.0f", data.train.back().first) + " of " + text("steps"));
  }
  for (const char *key : {"parameters", "seed", "bundle", "bundle_sha256", "compiler", "started"})
    row(key, text(key));
  for (const char *group : {"hardware", "data"})
    if (data.run.is_object() && data.run.contains(group) && data.run[group].is_object())
      for (const auto &[key, value] : data.run[group].items())
        row(std::string(group) + " " + key,
            value.is_string() ? value.get<std::string>() : value.dump());
  if (!data.finalHash.empty())
    row("final hash", data.finalHash);
  return concat(
      "<!doctype html><html><head><meta charset=\"utf-8\"><title>", escape(text("model")),
      "</title><style>body{font:14px sans-serif;margin:2em;max-width:70em}"
      "svg{max-width:100%}svg text{font-size:11px;fill:#555}.grid{stroke:#ddd}"
      "th{text-align:left;padding-right:2em;font-weight:normal;color:#555}"
      "td{overflow-wrap:anywhere}.small{display:flex;flex-wrap:wrap;gap:1em}"
      "figure{margin:0}figcaption{font-size:12px}</style></head><body><h1>",
      escape(text("model")),
      "</h1><h2>Loss</h2><p><span style=\"color:#06c\">training</span>, "
      "<span style=\"color:#d40\">validation</span>, nats per token, over steps</p>",
      drawChart({{&data.train, "#06c", false}, {&data.validation, "#d40", true}}, 900, 360),
      "<h2>Run</h2><table>", rows, "</table>", drawSmallCharts("Settings", data.settings),
      drawSmallCharts("Learned scalars", data.scalars), "</body></html>\n");
}
} // namespace

Status writeHtmlReport(const std::string &runPath) {
  SMELT_ASSIGN_OR_RETURN(RunData data, readRun(runPath));
  return writeFileAtomically(runPath + "/report.html", renderPage(data));
}

} // namespace smelt::runtime
