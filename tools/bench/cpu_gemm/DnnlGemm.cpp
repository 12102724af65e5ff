//===- DnnlGemm.cpp - The same product by oneDNN ----------------------------===//
#include "tools/bench/cpu_gemm/DnnlGemm.h"

#include <dnnl.hpp>

using namespace dnnl;

namespace smelt::bench {

struct DnnlGemm::Impl {
  engine cpu{engine::kind::cpu, 0};
  stream queue{cpu};
  matmul::primitive_desc description;
  matmul product;
  memory a, b, c, scratch;
};

DnnlGemm::DnnlGemm(GemmShape shape, bool identity) : impl(std::make_unique<Impl>()) {
  using tag = memory::format_tag;
  auto f32 = memory::data_type::f32;
  memory::desc a({shape.m, shape.k}, f32, shape.transposeA ? tag::ba : tag::ab),
      b({shape.k, shape.n}, f32, shape.transposeB ? tag::ba : tag::ab),
      c({shape.m, shape.n}, f32, tag::ab);
  primitive_attr attributes;
  if (!identity) {
    post_ops relu;
    relu.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
    attributes.set_post_ops(relu);
  }
  impl->description = matmul::primitive_desc(matmul::desc(a, b, c), attributes, impl->cpu);
  impl->product = matmul(impl->description);
  impl->a = memory(a, impl->cpu, nullptr);
  impl->b = memory(b, impl->cpu, nullptr);
  impl->c = memory(c, impl->cpu, nullptr);
}

DnnlGemm::~DnnlGemm() = default;

void DnnlGemm::run(const float *a, const float *b, float *c) {
  impl->a.set_data_handle(const_cast<float *>(a));
  impl->b.set_data_handle(const_cast<float *>(b));
  impl->c.set_data_handle(c);
  impl->product.execute(
      impl->queue, {{DNNL_ARG_SRC, impl->a}, {DNNL_ARG_WEIGHTS, impl->b}, {DNNL_ARG_DST, impl->c}});
  impl->queue.wait();
}

std::string DnnlGemm::describe() const {
  const version_t *v = dnnl::version();
  return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
         std::to_string(v->patch) + " " + impl->description.impl_info_str();
}

} // namespace smelt::bench
