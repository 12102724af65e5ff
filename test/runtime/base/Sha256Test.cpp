#include "runtime/base/Sha256.h"

#include <gtest/gtest.h>

using namespace smelt::runtime;

// The vectors of FIPS 180-4's examples and of the empty message.
TEST(Sha256Test, KnownVectors) {
  EXPECT_EQ(sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256Hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, PiecesGiveTheSameDigestAtEveryBoundary) {
  std::string text;
  for (int i = 0; i < 300; ++i)
    text += static_cast<char>(i * 7);
  for (size_t length : {55, 56, 63, 64, 65, 119, 120, 128, 300}) {
    std::string whole = sha256Hex(text.substr(0, length));
    for (size_t cut = 0; cut <= length; cut += 5) {
      Sha256 hash;
      hash.update(text.substr(0, cut));
      hash.update(text.substr(cut, length - cut));
      EXPECT_EQ(hash.finish(), whole) << length << " cut at " << cut;
    }
  }
}
