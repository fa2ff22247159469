#include "cold/s3_xml.h"

#include <gtest/gtest.h>

#include <random>

namespace kalamdb::cold {
namespace {

constexpr std::string_view kPage =
    R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p/</Prefix><KeyCount>3</KeyCount>
<MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>1ueG=/+</NextContinuationToken>
<Contents><Key>p/a&amp;b &#x1F642;</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified><ETag>"1"</ETag><Size>0</Size></Contents>
<Contents><Key> </Key><Size>18446744073709551615</Size></Contents><Contents><Size>7</Size><Key>p/c</Key></Contents>
<CommonPrefixes><Prefix>p/x/</Prefix></CommonPrefixes></ListBucketResult>)";

TEST(S3Xml, ReadsAPageOfAList) {
  const auto page = parse_s3_list(kPage);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->continuation, "1ueG=/+");
  EXPECT_EQ(page->objects, (std::vector<ObjectInfo>{{"p/a&b 🙂", 0}, {" ", UINT64_MAX}, {"p/c", 7}}));
  const auto last = parse_s3_list("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->continuation, "");
  EXPECT_TRUE(last->objects.empty());
}

TEST(S3Xml, RefusesWhatIsNoPage) {
  const std::string contents = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>";
  const std::string end = "</Contents></ListBucketResult>";
  for (const std::string& body :
       {std::string(""), std::string("x"), std::string("<html><body>hello</body></html>"),
        std::string("<ListBucketResult>"), std::string("<ListBucketResult></ListBucketResult>"),
        std::string("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"),
        std::string("<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>"),
        contents + "<Key>a</Key>" + end, contents + "<Size>1</Size>" + end,
        contents + "<Key>a</Key><Size>-1</Size>" + end, contents + "<Key>a</Key><Size>1x</Size>" + end,
        contents + "<Key>a</Key><Size>18446744073709551616</Size>" + end}) {
    EXPECT_EQ(parse_s3_list(body).error().code, ErrorCode::kIo) << body;
  }
  EXPECT_FALSE(parse_s3_upload_id("<InitiateMultipartUploadResult><Key>a</Key></InitiateMultipartUploadResult>"));
}

TEST(S3Xml, ExpandsNoEntityOfTheDocument) {
  const auto error = parse_s3_error(
      R"(<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd"><!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>)"
      "<Error><Code>&secret;</Code><Message>&b;</Message></Error>");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "&secret;");
  EXPECT_EQ(error->message, "&b;");
}

TEST(S3Xml, ErrorsAreShortAndPlain) {
  const auto error = parse_s3_error("<Error><Code>NoSuchKey</Code><Message>a\x1b[31m\nb" + std::string(1000, 'x') +
                                    "</Message><Resource>/b/k</Resource></Error>");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "NoSuchKey");
  EXPECT_TRUE(error->message.starts_with("a [31m bxxx"));
  EXPECT_EQ(error->message.size(), 300u);
  EXPECT_FALSE(parse_s3_error("<Errors/>"));
  EXPECT_TRUE(parse_s3_error("<Error/>"));
}

TEST(S3Xml, WritesWhatItIsToldOfAnUpload) {
  EXPECT_EQ(parse_s3_upload_id("<InitiateMultipartUploadResult><UploadId>a&lt;b</UploadId>"
                               "</InitiateMultipartUploadResult>")
                .value(),
            "a<b");
  EXPECT_EQ(s3_complete_upload({"\"1\"", "<&>"}),
            R"(<?xml version="1.0"?><CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">)"
            R"(<Part><PartNumber>1</PartNumber><ETag>"1"</ETag></Part>)"
            R"(<Part><PartNumber>2</PartNumber><ETag>&lt;&amp;&gt;</ETag></Part></CompleteMultipartUpload>)");
}

TEST(S3Xml, DamagedDocumentsAreReadOrRefused) {
  std::mt19937 random(11);
  for (int i = 0; i < 3000; ++i) {
    std::string body(kPage);
    for (unsigned changes = random() % 4; changes < 4; ++changes) {
      const size_t at = random() % body.size();
      switch (random() % 3) {
        case 0:
          body[at] = static_cast<char>(random());
          break;
        case 1:
          body.erase(at, random() % 40);
          break;
        default:
          body.insert(at, body.substr(random() % body.size(), random() % 40));
      }
    }
    if (const auto page = parse_s3_list(body)) {
      for (const auto& object : page->objects) EXPECT_FALSE(object.name.empty());
    } else {
      EXPECT_FALSE(page.error().message.empty());
    }
    (void)parse_s3_error(body);
  }
}

TEST(S3Xml, DepthIsNoDanger) {
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i) deep += "<a>";
  EXPECT_FALSE(parse_s3_list(deep));
  std::string closed = deep;
  for (int i = 0; i < 1'000'000; ++i) closed += "</a>";
  EXPECT_FALSE(parse_s3_list(closed));
}

}  // namespace
}  // namespace kalamdb::cold
