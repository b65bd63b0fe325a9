#include "saved_model.h"

#include <dlfcn.h>
#include <tensorflow/c/c_api.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace {

#define FUNCTIONS(DO)                                                                                       \
  DO(TF_NewStatus) DO(TF_DeleteStatus) DO(TF_GetCode) DO(TF_Message) DO(TF_NewGraph) DO(TF_NewBuffer)       \
  DO(TF_NewSessionOptions) DO(TF_LoadSessionFromSavedModel) DO(TF_GraphOperationByName) DO(TF_SessionRun)   \
  DO(TF_AllocateTensor) DO(TF_DeleteTensor) DO(TF_TensorData) DO(TF_TensorElementCount) DO(TF_TensorType)   \
  DO(TF_NumDims) DO(TF_Dim)

// TensorFlow's functions. It brings a protobuf of its own, another than this program's: so it is loaded in such a way
// that their names never meet. DEEPBIND makes it look among its own names first, LOCAL hides them from everyone else.
struct Library {
  explicit Library(const std::string& folder) {
    void* handle = dlopen((folder + "/libtensorflow_cc.so.2").c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!handle) throw std::runtime_error(dlerror());
#define FIND(name)                                              \
  name = reinterpret_cast<decltype(name)>(dlsym(handle, #name)); \
  if (!name) throw std::runtime_error(dlerror());
    FUNCTIONS(FIND)
  }
#define DECLARE(name) decltype(::name)* name;
  FUNCTIONS(DECLARE)
};

// TensorFlow's tensors, deleted in the end.
struct Held {
  explicit Held(const Library& library) : library(library) {}
  ~Held() {
    for (TF_Tensor* tensor : tensors)
      if (tensor) library.TF_DeleteTensor(tensor);
  }
  const Library& library;
  std::vector<TF_Tensor*> tensors;
};

TF_Tensor* Decode(const Library& library, const std::string& name, const tensorflow::TensorProto& from) {
  std::vector<int64_t> shape;
  uint64_t count = 1;
  for (const auto& dim : from.tensor_shape().dim()) {
    if (dim.size() < 0 || dim.size() > 1 << 20) throw InvalidArgument("a size of input " + name);
    shape.push_back(dim.size());
    count *= dim.size();
    if (count > 1 << 28) throw InvalidArgument("the sizes of input " + name);
  }
  const bool raw = !from.tensor_content().empty();
  const uint64_t came = raw ? from.tensor_content().size() : from.float_val_size() * sizeof(float);
  if (from.dtype() != tensorflow::DT_FLOAT || came != count * sizeof(float))
    throw InvalidArgument("input " + name + ": float32, as many as its shape says");
  TF_Tensor* tensor = library.TF_AllocateTensor(TF_FLOAT, shape.data(), shape.size(), count * sizeof(float));
  const void* numbers = raw ? static_cast<const void*>(from.tensor_content().data()) : from.float_val().data();
  std::memcpy(library.TF_TensorData(tensor), numbers, count * sizeof(float));
  return tensor;
}

void Encode(const Library& library, const TF_Tensor* tensor, tensorflow::TensorProto* to) {
  if (library.TF_TensorType(tensor) != TF_FLOAT) throw std::runtime_error("an output that is not float32");
  to->set_dtype(tensorflow::DT_FLOAT);
  auto* shape = to->mutable_tensor_shape();
  for (int i = 0; i < library.TF_NumDims(tensor); i++) shape->add_dim()->set_size(library.TF_Dim(tensor, i));
  const auto* numbers = static_cast<const float*>(library.TF_TensorData(tensor));
  to->mutable_float_val()->Add(numbers, numbers + library.TF_TensorElementCount(tensor));
}

}  // namespace

struct SavedModel::Loaded {
  Loaded(const std::string& tensorflow, const std::string& folder) : library(tensorflow), graph(library.TF_NewGraph()) {
    TF_Buffer* buffer = library.TF_NewBuffer();
    TF_Status* status = library.TF_NewStatus();
    const char* tag = "serve";
    session = library.TF_LoadSessionFromSavedModel(library.TF_NewSessionOptions(), nullptr, folder.c_str(), &tag, 1,
                                                   graph, buffer, status);
    if (library.TF_GetCode(status) != TF_OK) throw std::runtime_error(library.TF_Message(status));
    if (!meta_graph.ParseFromArray(buffer->data, buffer->length)) throw std::runtime_error("no meta graph");
  }

  // Finds what a signature calls "name:0".
  TF_Output Find(const tensorflow::TensorInfo& info) const {
    const auto colon = info.name().rfind(':');
    TF_Operation* operation = library.TF_GraphOperationByName(graph, info.name().substr(0, colon).c_str());
    if (!operation) throw std::runtime_error("no operation " + info.name());
    return {operation, colon == std::string::npos ? 0 : std::stoi(info.name().substr(colon + 1))};
  }

  const Library library;
  TF_Graph* graph;
  TF_Session* session;
  tensorflow::MetaGraphDef meta_graph;
};

SavedModel::SavedModel(const std::string& tensorflow, const std::string& folder)
    : loaded_(std::make_unique<Loaded>(tensorflow, folder)) {}

SavedModel::~SavedModel() = default;

const tensorflow::MetaGraphDef& SavedModel::meta_graph() const { return loaded_->meta_graph; }

void SavedModel::Run(const tensorflow::SignatureDef& signature, const Tensors& inputs, Tensors* outputs) const {
  const Library& library = loaded_->library;
  std::vector<TF_Output> fed, fetched;
  Held given(library), found(library);
  if (inputs.size() != signature.inputs().size()) throw InvalidArgument("other inputs than the signature has");
  for (const auto& [name, tensor] : inputs) {
    const auto info = signature.inputs().find(name);
    if (info == signature.inputs().end()) throw InvalidArgument("no input " + name);
    fed.push_back(loaded_->Find(info->second));
    given.tensors.push_back(Decode(library, name, tensor));
  }
  for (const auto& output : signature.outputs()) fetched.push_back(loaded_->Find(output.second));
  found.tensors.resize(fetched.size());
  std::unique_ptr<TF_Status, decltype(library.TF_DeleteStatus)> status(library.TF_NewStatus(), library.TF_DeleteStatus);
  library.TF_SessionRun(loaded_->session, nullptr, fed.data(), given.tensors.data(), fed.size(), fetched.data(),
                        found.tensors.data(), fetched.size(), nullptr, 0, nullptr, status.get());
  if (library.TF_GetCode(status.get()) != TF_OK) throw InvalidArgument(library.TF_Message(status.get()));
  size_t place = 0;
  for (const auto& output : signature.outputs()) Encode(library, found.tensors[place++], &(*outputs)[output.first]);
}
