// Stands in for TensorFlow Serving where there is none: its gRPC API before one SavedModel, each request run by itself.
//
//   standin TENSORFLOW_FOLDER MODEL_NAME VERSION_FOLDER PORT MAX_THREADS
//
// Like the original without batching it is a synchronous gRPC server on a thread for each call: beyond MAX_THREADS,
// calls fail with RESOURCE_EXHAUSTED.

#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "saved_model.h"
#include "service/wire/tensorflow_serving.grpc.pb.h"

namespace serving = tensorflow::serving;

namespace {

// What is served, as all calls see it.
struct Served {
  SavedModel model;
  std::string name;
  int64_t version;

  // Says whether a request asks for this; if so, says so in the answer.
  grpc::Status Choose(const serving::ModelSpec& asked, serving::ModelSpec* chosen) const {
    const bool other = asked.has_version_label() || (asked.has_version() && asked.version().value() != version);
    if (asked.name() != name || other)
      return {grpc::StatusCode::NOT_FOUND, "Servable not found for request: " + asked.ShortDebugString()};
    if (chosen) {
      chosen->set_name(name);
      chosen->mutable_version()->set_value(version);
    }
    return grpc::Status::OK;
  }
};

class Prediction final : public serving::PredictionService::Service {
 public:
  explicit Prediction(const Served& served) : served_(served) {}

  grpc::Status Predict(grpc::ServerContext*, const serving::PredictRequest* request,
                       serving::PredictResponse* response) override {
    const auto status = served_.Choose(request->model_spec(), response->mutable_model_spec());
    if (!status.ok()) return status;
    const auto& asked = request->model_spec().signature_name();
    const auto& signatures = served_.model.meta_graph().signature_def();
    const auto signature = signatures.find(asked.empty() ? "serving_default" : asked);
    if (signature == signatures.end()) return {grpc::StatusCode::INVALID_ARGUMENT, "no signature " + asked};
    response->mutable_model_spec()->set_signature_name(signature->first);
    try {
      served_.model.Run(signature->second, request->inputs(), response->mutable_outputs());
    } catch (const InvalidArgument& error) {
      return {grpc::StatusCode::INVALID_ARGUMENT, error.what()};
    } catch (const std::exception& error) {
      return {grpc::StatusCode::INTERNAL, error.what()};
    }
    return grpc::Status::OK;
  }

  grpc::Status GetModelMetadata(grpc::ServerContext*, const serving::GetModelMetadataRequest* request,
                                serving::GetModelMetadataResponse* response) override {
    const auto status = served_.Choose(request->model_spec(), response->mutable_model_spec());
    if (!status.ok()) return status;
    serving::SignatureDefMap map;
    *map.mutable_signature_def() = served_.model.meta_graph().signature_def();
    (*response->mutable_metadata())["signature_def"].PackFrom(map);
    return grpc::Status::OK;
  }

 private:
  const Served& served_;
};

class ModelStatus final : public serving::ModelService::Service {
 public:
  explicit ModelStatus(const Served& served) : served_(served) {}

  grpc::Status GetModelStatus(grpc::ServerContext*, const serving::GetModelStatusRequest* request,
                              serving::GetModelStatusResponse* response) override {
    const auto status = served_.Choose(request->model_spec(), nullptr);
    if (!status.ok()) return status;
    auto* version = response->add_model_version_status();
    version->set_version(served_.version);
    version->set_state(serving::ModelVersionStatus::AVAILABLE);
    version->mutable_status();
    return grpc::Status::OK;
  }

 private:
  const Served& served_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 6) {
    std::cerr << "TENSORFLOW_FOLDER MODEL_NAME VERSION_FOLDER PORT MAX_THREADS\n";
    return 2;
  }
  const std::filesystem::path folder = arguments[3];
  const Served served{{arguments[1], folder}, arguments[2], std::stoll(folder.filename())};
  Prediction prediction(served);
  ModelStatus status(served);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(std::stoi(arguments[5]));
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::string(arguments[4]), grpc::InsecureServerCredentials());
  builder.SetResourceQuota(quota).SetMaxReceiveMessageSize(-1);
  builder.RegisterService(&prediction).RegisterService(&status);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  server->Wait();
}
