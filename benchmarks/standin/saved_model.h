// A SavedModel of float32 tensors, run by TensorFlow's C API.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "meta_graph.pb.h"

using Tensors = google::protobuf::Map<std::string, tensorflow::TensorProto>;

// A request that does not fit the model.
struct InvalidArgument : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

class SavedModel {
 public:
  // Loads it with the TensorFlow of a folder, which is that of the Python package.
  SavedModel(const std::string& tensorflow, const std::string& folder);
  ~SavedModel();

  const tensorflow::MetaGraphDef& meta_graph() const;

  // Runs the signature by itself and waits; any number of threads may do so at a time. Numbers come and go as
  // TensorFlow Serving's do: in as tensor_content or float_val, out as float_val.
  void Run(const tensorflow::SignatureDef& signature, const Tensors& inputs, Tensors* outputs) const;

 private:
  struct Loaded;
  std::unique_ptr<Loaded> loaded_;
};
