// Where segments and manifests lie: a directory tree on a disk, or a bucket of an S3-compatible service.
//
// Names are relative, their parts parted by '/', none of them empty, "." or "..", no NUL in them. An object is there
// whole or not at all, and survives a power failure once put() or put_file() has returned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kalamdb::cold {

struct ObjectInfo {
  std::string name;
  uint64_t size_bytes = 0;
  bool operator==(const ObjectInfo&) const = default;
};

// Errors: kInvalidInput for any other name, or one that is longer than stores can take.
Result<> check_object_name(std::string_view name);

// What get() reads at most.
inline constexpr uint64_t kMaxGetBytes = 64 << 20;

// Thread-safe. Errors: kInvalidInput for a name that is none; kIo with what was tried, the object and the reason;
// kUnavailable when the service does not answer, refuses for now, or does not know the bucket or the credentials. Each
// request to a service is bounded in time.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // Where to write a file that put_file() is to take under `name`: an absolute path, the same for each call with this
  // name, whose directory has been made. Whoever writes there removes what put_file() does not take. In a directory it
  // is the object's own path + ".tmp", so that what a crash leaves shows in list() and goes by remove().
  virtual Result<std::string> staging_file(const std::string& name) = 0;
  // Takes a finished file, which is gone then, in place of an object of that name.
  virtual Result<> put_file(const std::string& name, const std::string& staged) = 0;
  virtual Result<> put(const std::string& name, std::string_view bytes) = 0;

  // What tells an object from any other that is put under its name; nullopt when there is none.
  virtual Result<std::optional<std::string>> version(const std::string& name) = 0;
  // Puts an object in place of the one with that version, or, if that is nullopt, only where there is none, and gives
  // its version: so that of two servers that change one object neither undoes what the other did. kConflict when it is
  // otherwise; kNotImplemented by a service that knows no such condition. A directory belongs to one server: there it
  // holds among its threads.
  virtual Result<std::string> put_if(const std::string& name, std::string_view bytes,
                                     const std::optional<std::string>& version) = 0;

  // Whole objects of up to kMaxGetBytes. kNotFound when there is none.
  virtual Result<std::string> get(const std::string& name) = 0;
  // The bytes [offset, offset + length); fewer are an error, as is a missing object (kNotFound).
  virtual Result<std::string> get_range(const std::string& name, uint64_t offset, uint64_t length) = 0;
  // nullopt when there is none.
  virtual Result<std::optional<uint64_t>> size(const std::string& name) = 0;
  // What lies below `directory` ("" for all), by name.
  virtual Result<std::vector<ObjectInfo>> list(const std::string& directory) = 0;
  // One that is not there is no error.
  virtual Result<> remove(const std::string& name) = 0;
  // Removes what lies below `directory`, which is not "".
  virtual Result<> remove_directory(const std::string& directory) = 0;

  // For stores that are directories: the absolute path of an object; nullopt for others, and for a name that
  // get_range() refuses.
  virtual std::optional<std::string> local_path(const std::string& name) const = 0;
};

}  // namespace kalamdb::cold
