// Prints the batches that a source gives, for Inputs/check_batches.py.
//
//   DumpBatches ORDER START_TOKEN MAX_TOKENS RANKS RANK WORLD RESUME SIZES FILES
//
// SIZES: the batches' tokens, with commas. RESUME 1: every batch comes from a source of its own, as
// after a restart. A batch is three lines (tokens, targets, document starts); a failure is its
// message after "failed: ".
#include "runtime/data/BatchSource.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

using namespace smelt::runtime;

static void print(const std::vector<int32_t> &values) {
  for (int32_t value : values)
    std::printf("%d ", value);
  std::putchar('\n');
}

int main(int argc, char **argv) {
  if (argc != 10)
    return 2;
  LoaderOptions options;
  options.order = *parseSampleOrder(argv[1]);
  options.startToken = std::atoi(argv[2]);
  options.maxTokens = std::atoi(argv[3]);
  options.ranks = std::atoi(argv[4]);
  options.rank = std::atoi(argv[5]);
  options.world = std::atoi(argv[6]);
  bool resume = std::atoi(argv[7]);
  StatusOr<TokenStream> stream = TokenStream::open(argv[9], "bytes", 50257);
  if (!stream.isOk()) {
    std::printf("failed: %s\n", stream.status().message().c_str());
    return 0;
  }
  auto source = makeBatchSource(*stream, options);
  DataPosition position;
  std::istringstream sizes(argv[8]);
  for (std::string size; std::getline(sizes, size, ',');) {
    if (resume)
      source = makeBatchSource(*stream, options);
    StatusOr<Batch> batch = source->load(std::atoi(size.c_str()), position);
    if (!batch.isOk()) {
      std::printf("failed: %s\n", batch.status().message().c_str());
      return 0;
    }
    print(batch->tokens);
    print(batch->targets);
    print(batch->documentStart);
    source->prepare(position);
  }
}
