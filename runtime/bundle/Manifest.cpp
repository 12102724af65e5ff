#include "runtime/bundle/Manifest.h"

#include <iterator>

namespace smelt::runtime {

namespace {
constexpr const char *kBufferKinds[] = {"parameter", "state",  "gradient", "setting",
                                        "input",     "output", "constant", "workspace"};
constexpr const char *kSampleOrders[] = {"random", "contiguous", "documents", "aligned"};

template <typename Enum, size_t N>
std::optional<Enum> parseEnum(const char *const (&names)[N], std::string_view name) {
  for (size_t i = 0; i < N; ++i)
    if (name == names[i])
      return static_cast<Enum>(i);
  return std::nullopt;
}

template <typename Element>
const Element *findByName(const std::vector<Element> &elements, std::string_view name) {
  for (const Element &element : elements)
    if (element.name == name)
      return &element;
  return nullptr;
}
} // namespace

const char *bufferKindName(BufferKind kind) { return kBufferKinds[static_cast<size_t>(kind)]; }
std::optional<BufferKind> parseBufferKind(std::string_view name) {
  return parseEnum<BufferKind>(kBufferKinds, name);
}

const char *sampleOrderName(SampleOrder order) { return kSampleOrders[static_cast<size_t>(order)]; }
std::optional<SampleOrder> parseSampleOrder(std::string_view name) {
  return parseEnum<SampleOrder>(kSampleOrders, name);
}

const Program *Manifest::findProgram(std::string_view wanted) const {
  return findByName(programs, wanted);
}

const Program *Manifest::findProgramByRole(std::string_view role) const {
  for (const Program &program : programs)
    if (program.role == role)
      return &program;
  return nullptr;
}

const Setting *Manifest::findSetting(std::string_view wanted) const {
  return findByName(settings, wanted);
}

} // namespace smelt::runtime
