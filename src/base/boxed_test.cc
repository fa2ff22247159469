#include "base/boxed.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>

namespace kalamdb {
namespace {

TEST(BoxedTest, ReadsAsTheDefaultUntilItIsSet) {
  Boxed<std::string> box;
  EXPECT_EQ(*box, "");
  EXPECT_TRUE(box->empty());
  box = "text";
  EXPECT_EQ(*box, "text");
  box.edit() += "s";
  EXPECT_EQ(*box, "texts");
  box = {};
  EXPECT_EQ(*box, "");
}

TEST(BoxedTest, CopiesAreIndependent) {
  Boxed<std::string> box = "one";
  Boxed<std::string> copy = box;
  copy.edit() = "two";
  EXPECT_EQ(*box, "one");
  EXPECT_EQ(*copy, "two");
  copy = box;
  box.edit() = "three";
  EXPECT_EQ(*copy, "one");
  copy = copy;  // NOLINT
  EXPECT_EQ(*copy, "one");
  const Boxed<std::string> moved = std::move(box);
  EXPECT_EQ(*moved, "three");
}

TEST(BoxedTest, EqualsByValue) {
  EXPECT_EQ(Boxed<std::string>("a"), Boxed<std::string>("a"));
  EXPECT_NE(Boxed<std::string>("a"), Boxed<std::string>("b"));
  Boxed<std::string> touched;
  touched.edit();
  EXPECT_EQ(touched, Boxed<std::string>());
}

TEST(BoxedTest, TakesOnePointer) {
  using Wide = std::variant<std::monostate, int64_t, std::string>;
  EXPECT_EQ(sizeof(Boxed<Wide>), sizeof(void*));
  const Boxed<Wide> number = int64_t{5};
  EXPECT_EQ(std::get<int64_t>(*number), 5);
}

}  // namespace
}  // namespace kalamdb
