#include "cold/s3_xml.h"

#include <charconv>
#include <pugixml.hpp>
#include <sstream>

namespace kalamdb::cold {
namespace {

constexpr size_t kMaxErrorTextBytes = 300;

// The document's element if it has that name; an empty node if not. pugixml knows no external entities and expands
// none that a document defines.
pugi::xml_node root(pugi::xml_document& document, std::string_view body, const char* name) {
  // A key may be nothing but spaces.
  constexpr unsigned int kOptions = pugi::parse_default | pugi::parse_ws_pcdata_single;
  if (!document.load_buffer(body.data(), body.size(), kOptions, pugi::encoding_utf8)) return {};
  return document.child(name);
}

std::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kIo, "The service's answer is no " + std::string(what) + "; is the endpoint an S3 service?");
}

// For people, from a stranger.
std::string plain(const char* text) {
  std::string out(std::string_view(text).substr(0, kMaxErrorTextBytes));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  return out;
}

}  // namespace

std::optional<S3Error> parse_s3_error(std::string_view body) {
  pugi::xml_document document;
  const pugi::xml_node error = root(document, body, "Error");
  if (!error) return std::nullopt;
  return S3Error{plain(error.child_value("Code")), plain(error.child_value("Message"))};
}

Result<S3ListPage> parse_s3_list(std::string_view body) {
  pugi::xml_document document;
  const pugi::xml_node list = root(document, body, "ListBucketResult");
  if (!list) return malformed("list of objects");
  S3ListPage page;
  for (const pugi::xml_node& item : list.children("Contents")) {
    ObjectInfo object{.name = item.child_value("Key")};
    const std::string_view size = item.child_value("Size");
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), object.size_bytes);
    if (object.name.empty() || error != std::errc() || end != size.data() + size.size()) {
      return malformed("list of objects that each have a key and a size");
    }
    page.objects.push_back(std::move(object));
  }
  const std::string_view truncated = list.child_value("IsTruncated");
  if (truncated == "true") {
    page.continuation = list.child_value("NextContinuationToken");
    if (page.continuation.empty()) return malformed("list that can be continued, though it is cut short");
  } else if (truncated != "false") {
    return malformed("list that says whether it is complete");
  }
  return page;
}

Result<std::string> parse_s3_upload_id(std::string_view body) {
  pugi::xml_document document;
  const std::string id = root(document, body, "InitiateMultipartUploadResult").child_value("UploadId");
  if (id.empty()) return malformed("id of an upload");
  return id;
}

std::string s3_complete_upload(const std::vector<std::string>& etags) {
  pugi::xml_document document;
  pugi::xml_node upload = document.append_child("CompleteMultipartUpload");
  upload.append_attribute("xmlns") = "http://s3.amazonaws.com/doc/2006-03-01/";
  unsigned int number = 0;
  for (const std::string& etag : etags) {
    pugi::xml_node part = upload.append_child("Part");
    part.append_child("PartNumber").text() = ++number;
    part.append_child("ETag").text() = etag.c_str();
  }
  std::ostringstream out;
  document.save(out, "", pugi::format_raw);
  return std::move(out).str();
}

}  // namespace kalamdb::cold
