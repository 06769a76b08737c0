// Tests of which variant of an entry runs, on CPUs of all kinds.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "entry/variant.h"

#include <gtest/gtest.h>

#include <string>

namespace {

constexpr uint64_t third = MOERT_CPU_LZCNT * 2 - 1;
constexpr uint64_t fourth = MOERT_CPU_AVX512VL * 2 - 1;

const moert_variant all[] = {{"portable", 0, nullptr, nullptr, nullptr},
                             {"x86-64-v3", third, nullptr, nullptr, nullptr},
                             {"x86-64-v4", fourth, nullptr, nullptr, nullptr}};

class VariantTest : public testing::Test {
protected:
  /// The name of the chosen one, or the message.
  std::string choose(const char *isa, uint64_t features, int32_t first = 0) {
    const moert_entry entry = {sizeof(moert_entry), 0,        "moec_f", nullptr,
                               all + first,         3 - first};
    return choose(entry, isa, {features, 0, 0});
  }

  std::string choose(const moert_entry &entry, const char *isa,
                     const moert_hardware &hardware) {
    const moert_variant *variant = nullptr;
    char message[256] = "";
    status = moert_choose_variant(&entry, isa, &hardware, &variant, message,
                                  sizeof message);
    EXPECT_EQ(status == MOERT_OK, variant != nullptr);
    return variant ? variant->name : message;
  }

  /// Of sm_80 and sm_90a, on device 3 of that capability.
  std::string chooseForDevice(const char *isa, int32_t capability) {
    moert_device_code newer = {}, exact = {};
    newer.capability = 80;
    exact.capability = 90;
    exact.is_exact = 1;
    const moert_variant variants[] = {{"sm_80", 0, nullptr, nullptr, &newer},
                                      {"sm_90a", 0, nullptr, nullptr, &exact}};
    return choose({sizeof(moert_entry), 0, "moec_f", nullptr, variants, 2}, isa,
                  {0, 3, capability});
  }

  int32_t status = -1;
};

TEST_F(VariantTest, takesTheBestThatTheCpuHas) {
  EXPECT_EQ(choose(nullptr, 0), "portable");
  EXPECT_EQ(choose(nullptr, third & ~MOERT_CPU_F16C), "portable");
  EXPECT_EQ(choose(nullptr, third), "x86-64-v3");
  EXPECT_EQ(choose(nullptr, fourth & ~MOERT_CPU_AVX512VL), "x86-64-v3");
  EXPECT_EQ(choose(nullptr, fourth), "x86-64-v4");
}

TEST_F(VariantTest, takesTheOneThatIsAskedFor) {
  EXPECT_EQ(choose("portable", fourth), "portable");
  EXPECT_EQ(choose("x86-64-v3", fourth), "x86-64-v3");
  EXPECT_EQ(choose("x86-64-v4", third),
            "needs x86-64-v4, this CPU or its system lacks avx512f");
  EXPECT_EQ(status, MOERT_INCOMPATIBLE);
  EXPECT_EQ(choose("x86-64", fourth),
            "got the instruction set 'x86-64', expected portable or x86-64-v3 "
            "or x86-64-v4");
  EXPECT_EQ(status, MOERT_INVALID_ARGUMENT);
}

TEST_F(VariantTest, saysWhatIsMissingOfThePlainest) {
  EXPECT_EQ(choose(nullptr, third & ~MOERT_CPU_AVX2, 1),
            "needs x86-64-v3, this CPU or its system lacks avx2");
  EXPECT_EQ(status, MOERT_INCOMPATIBLE);
  EXPECT_EQ(choose(nullptr, third, 2),
            "needs x86-64-v4, this CPU or its system lacks avx512f");
  EXPECT_EQ(choose("portable", third, 2),
            "got the instruction set 'portable', expected x86-64-v4");
}

TEST_F(VariantTest, takesTheBestThatTheDeviceRuns) {
  EXPECT_EQ(chooseForDevice(nullptr, 80), "sm_80");
  EXPECT_EQ(chooseForDevice(nullptr, 89), "sm_80");
  EXPECT_EQ(chooseForDevice(nullptr, 90), "sm_90a");
  // Code for sm_90a alone is of one capability; code for sm_80 is of all later
  // ones.
  EXPECT_EQ(chooseForDevice(nullptr, 100), "sm_80");
  EXPECT_EQ(chooseForDevice("sm_80", 90), "sm_80");
}

TEST_F(VariantTest, saysWhatADeviceIs) {
  EXPECT_EQ(chooseForDevice(nullptr, 75),
            "needs sm_80 or sm_90a, device 3 is sm_75");
  EXPECT_EQ(status, MOERT_INCOMPATIBLE);
  EXPECT_EQ(chooseForDevice("sm_90a", 80), "needs sm_90a, device 3 is sm_80");
  EXPECT_EQ(status, MOERT_INCOMPATIBLE);
  EXPECT_EQ(chooseForDevice("portable", 80),
            "got the instruction set 'portable', expected sm_80 or sm_90a");
  EXPECT_EQ(status, MOERT_INVALID_ARGUMENT);
}

} // namespace
