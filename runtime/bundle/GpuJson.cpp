//===- GpuJson.cpp - GPU launches as JSON ---------------------------------===//
//
//   "gpu":[{"symbol":"smelt_kernel_3","role":"gemm","grid":[132,1,1],"threads":384,
//           "shared_bytes":196736,"cluster":1,"parameters":[{"buffer":0,"byte_offset":256},
//           {"table":[0,1,2]},{"tensor_map":{"argument":1,"dtype":"bf16","sizes":[768,49152],
//            "strides":[1536],"box":[64,128],"swizzle":128,"fill":"zero","byte_offset":0}}]}]
//
//===----------------------------------------------------------------------===//
#include "runtime/bundle/GpuJson.h"

#include <limits>

namespace smelt::runtime {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {
constexpr int64_t kMaxInteger = std::numeric_limits<int64_t>::max();
constexpr uint64_t kMaxArguments = 1 << 20;
constexpr uint64_t kMaxBytes = uint64_t(1) << 46;

template <typename To> std::vector<To> convert(const std::vector<int64_t> &values) {
  return {values.begin(), values.end()};
}

GpuParameter readTensorMap(JsonObject &owner, Status &failure) {
  JsonObject object(owner.value("tensor_map"), owner.pathOf("tensor_map"), failure);
  GpuParameter parameter;
  parameter.kind = GpuParameter::Kind::TensorMap;
  parameter.arguments = {static_cast<uint32_t>(object.unsignedInteger("argument", kMaxArguments))};
  parameter.byteOffset = object.unsignedInteger("byte_offset", kMaxBytes);
  std::string dtype = object.text("dtype");
  if (auto parsed = parseDType(dtype))
    parameter.map.dtype = *parsed;
  else
    object.fail(concat("unknown dtype \"", dtype, "\""));
  parameter.map.sizes = convert<uint64_t>(object.integers("sizes", 1, kMaxInteger));
  parameter.map.strides = convert<uint64_t>(object.integers("strides", 1, kMaxInteger));
  parameter.map.box = convert<uint32_t>(object.integers("box", 1, 256));
  parameter.map.swizzle = static_cast<uint32_t>(object.unsignedInteger("swizzle", 128));
  std::string fill = object.text("fill");
  if (fill != "zero" && fill != "nan")
    object.fail(concat("unknown fill \"", fill, "\""));
  parameter.map.fillNaN = fill == "nan";
  object.finish();
  return parameter;
}

GpuParameter readParameter(JsonObject &object, Status &failure) {
  if (object.has("tensor_map"))
    return readTensorMap(object, failure);
  GpuParameter parameter;
  if (object.has("table")) {
    parameter.kind = GpuParameter::Kind::PointerTable;
    parameter.arguments =
        convert<uint32_t>(object.integers("table", 0, static_cast<int64_t>(kMaxArguments)));
    return parameter;
  }
  parameter.arguments = {static_cast<uint32_t>(object.unsignedInteger("buffer", kMaxArguments))};
  parameter.byteOffset = object.unsignedInteger("byte_offset", kMaxBytes);
  return parameter;
}
} // namespace

GpuLaunch readGpuLaunch(JsonObject &object, Status &failure) {
  GpuLaunch launch;
  launch.symbol = object.text("symbol");
  launch.role = object.text("role", "");
  std::vector<int64_t> grid = object.integers("grid", 1, std::numeric_limits<int32_t>::max());
  if (grid.size() == 3)
    launch.grid = {static_cast<uint32_t>(grid[0]), static_cast<uint32_t>(grid[1]),
                   static_cast<uint32_t>(grid[2])};
  else
    object.fail("\"grid\" must have three numbers");
  launch.threads = static_cast<uint32_t>(object.unsignedInteger("threads", 1024));
  launch.sharedBytes = static_cast<uint32_t>(object.unsignedInteger("shared_bytes", 1 << 20));
  launch.cluster = static_cast<uint32_t>(object.unsignedInteger("cluster", 16));
  if (object.has("persistent"))
    launch.persistent = object.boolean("persistent");
  size_t index = 0;
  for (const json &element : object.array("parameters")) {
    JsonObject parameter(element, concat(object.pathOf("parameters"), "[", index++, "]"), failure);
    launch.parameters.push_back(readParameter(parameter, failure));
    parameter.finish();
  }
  return launch;
}

ordered_json gpuLaunchJson(const GpuLaunch &launch) {
  ordered_json parameters = ordered_json::array();
  for (const GpuParameter &parameter : launch.parameters) {
    switch (parameter.kind) {
    case GpuParameter::Kind::Pointer:
      parameters.push_back(
          {{"buffer", parameter.arguments.at(0)}, {"byte_offset", parameter.byteOffset}});
      break;
    case GpuParameter::Kind::PointerTable:
      parameters.push_back({{"table", parameter.arguments}});
      break;
    case GpuParameter::Kind::TensorMap: {
      const GpuTensorMap &map = parameter.map;
      parameters.push_back({{"tensor_map",
                             {{"argument", parameter.arguments.at(0)},
                              {"byte_offset", parameter.byteOffset},
                              {"dtype", dtypeName(map.dtype)},
                              {"sizes", map.sizes},
                              {"strides", map.strides},
                              {"box", map.box},
                              {"swizzle", map.swizzle},
                              {"fill", map.fillNaN ? "nan" : "zero"}}}});
      break;
    }
    }
  }
  ordered_json json = {{"symbol", launch.symbol},   {"role", launch.role},
                       {"grid", launch.grid},       {"threads", launch.threads},
                       {"shared_bytes", launch.sharedBytes}, {"cluster", launch.cluster}};
  if (launch.persistent)
    json["persistent"] = true;
  json["parameters"] = std::move(parameters);
  return json;
}

} // namespace smelt::runtime
