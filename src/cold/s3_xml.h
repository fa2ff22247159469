// The few XML documents of the S3 protocol that a store reads and writes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cold/object_store.h"

namespace kalamdb::cold {

struct S3Error {
  std::string code;  // such as NoSuchKey
  std::string message;
};
// nullopt when the body is no <Error> document. Both texts are short and without control characters.
std::optional<S3Error> parse_s3_error(std::string_view body);

struct S3ListPage {
  std::vector<ObjectInfo> objects;  // named by their keys
  std::string continuation;         // what the next request has to give; "" on the last page
};
// Of ListObjectsV2. Errors: kIo when it is none.
Result<S3ListPage> parse_s3_list(std::string_view body);

// The id in the answer to CreateMultipartUpload. Errors: kIo when there is none.
Result<std::string> parse_s3_upload_id(std::string_view body);

// The body of CompleteMultipartUpload for parts with these ETags, the first of which is part 1.
std::string s3_complete_upload(const std::vector<std::string>& etags);

}  // namespace kalamdb::cold
