#include "storage/folder_owner.h"

#include <nlohmann/json.hpp>

namespace kalamdb::storage {
namespace {

using nlohmann::json;

constexpr std::string_view kServerId = "server_id";  // of RecordSpace::kMeta
constexpr std::string_view kOwnerFile = "registered.json";

}  // namespace

Result<std::string> make_server_id(const hot::Store& store, Committer& committer, platform::Random& random) {
  KALAM_TRY(auto known, store.get_record(hot::RecordSpace::kMeta, kServerId, nullptr));
  if (known) return *std::move(known);
  std::string id = platform::random_hex(random, 16);
  CommitRequest request;
  request.records.push_back({hot::RecordSpace::kMeta, std::string(kServerId), id, ""});
  request.always_sync = true;
  KALAM_CHECK(committer.commit(std::move(request)));
  return id;
}

Result<FolderOwner> folder_owner(const cold::BackupPlace& place, const hot::Store& store) {
  const auto text = place.objects->get(place.object(kOwnerFile));
  if (!text && text.error().code == ErrorCode::kNotFound) return FolderOwner::kNobody;
  if (!text) return fail(text.error());
  const auto mark = json::parse(*text, nullptr, false);
  const std::string owner = mark.is_object() ? mark.value("server", "") : "";
  KALAM_TRY(const auto own, store.get_record(hot::RecordSpace::kMeta, kServerId, nullptr));
  return own == owner ? FolderOwner::kThisServer : FolderOwner::kAnother;
}

Result<> take_folder(const cold::BackupPlace& place, const hot::Store& store, const std::string& server_id) {
  const std::string name = place.object(kOwnerFile);
  KALAM_TRY(const auto version, place.objects->version(name));
  KALAM_TRY(const FolderOwner owner, folder_owner(place, store));
  if (owner == FolderOwner::kAnother) return fail(ErrorCode::kConflict, "Another server has the folder");
  KALAM_CHECK(place.objects->put_if(name, json{{"server", server_id}}.dump(), version));
  return {};
}

Result<> remove_folder_owner(const cold::BackupPlace& place) { return place.objects->remove(place.object(kOwnerFile)); }

}  // namespace kalamdb::storage
