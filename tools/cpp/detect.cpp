// Detects traffic lights in one frame with a file of `tl export`, through onnxruntime's C API and nothing else.
//
//   tools/cpp/fetch_onnxruntime.sh build/onnxruntime .venv/bin/python       (or an onnxruntime of your own)
//   cmake -S tools/cpp -B build/cpp -DCMAKE_PREFIX_PATH=$PWD/build/onnxruntime && cmake --build build/cpp
//   build/cpp/tl_detect lights.onnx frame.ppm
//
// The frame is a binary PPM (P6) of the camera's own size: resizing, thresholds and suppression are in the file. Each
// detection is one line, highest score first, fields parted by tabs, boxes in the frame's pixels:
//
//   class  state  score  x1  y1  x2  y2
//
// Refused, with one line and exit code 1: a model whose bytes are not those of lights.onnx.sha256 (as sha256sum writes
// it) beside it, a model without tl's metadata or of another contract, a frame that is damaged or of another size than
// the model was fixed to. 2: wrong arguments.
//
// An example to start from, not a product: a vehicle keeps the session open, hands over frames from memory, watches the
// time each takes, and treats frozen or black frames as a fault; the Python runtime does all of that.

#include <onnxruntime_c_api.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bad_input.hpp"
#include "contract.hpp"
#include "ppm.hpp"
#include "sha256.hpp"

namespace tl {
namespace {

const char* const kInput = "image";
// Names, shapes and meaning follow TensorRT's EfficientNMS.
const char* const kOutputs[] = {"num_detections", "detection_boxes", "detection_scores", "detection_classes"};
constexpr ONNXTensorElementDataType kOutputTypes[] = {
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32};

const OrtApi& api() {
  // Null where the library is older than the headers that this was built with.
  static const OrtApi* const found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (found == nullptr)
    throw BadInput(std::string("onnxruntime ") + OrtGetApiBase()->GetVersionString() + " is too old, expected 1." +
                   std::to_string(ORT_API_VERSION) + " or later");
  return *found;
}

void check(OrtStatus* status, const std::string& path) {
  if (status == nullptr) return;
  std::string reason = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw BadInput(path + ": onnxruntime cannot use it (" + reason.substr(0, reason.find('\n')) + ")");
}

template <class T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

// Calls a function of the C API that hands out an object in its last argument, and owns that object.
template <class T, class Function, class... Arguments>
Owned<T> make(void (*release)(T*), const std::string& path, Function function, Arguments... arguments) {
  T* made = nullptr;
  check(function(arguments..., &made), path);
  return {made, release};
}

struct Tensor {
  ONNXTensorElementDataType type;
  std::vector<std::int64_t> shape;  // -1 where any size is taken
};

Tensor describe(const OrtTensorTypeAndShapeInfo* info, const std::string& path) {
  Tensor tensor{};
  std::size_t rank = 0;
  check(api().GetTensorElementType(info, &tensor.type), path);
  check(api().GetDimensionsCount(info, &rank), path);
  tensor.shape.resize(rank);
  check(api().GetDimensions(info, tensor.shape.data(), rank), path);
  return tensor;
}

class Model {
 public:
  explicit Model(const std::string& path)
      : path_(path),
        // Messages of the library are no news here: errors arrive as a status.
        environment_(make(api().ReleaseEnv, path, api().CreateEnv, ORT_LOGGING_LEVEL_FATAL, "tl_detect")),
        session_(nullptr, api().ReleaseSession) {
    const std::string bytes = read_file(path);
    check_hash(bytes);
    const auto options = make(api().ReleaseSessionOptions, path, api().CreateSessionOptions);
    // From the bytes that were checked, not from the file again: it could have been exchanged meanwhile.
    session_ = make(api().ReleaseSession, path, api().CreateSessionFromArray, environment_.get(), bytes.data(),
                    bytes.size(), options.get());
    contract_ = read_contract(look_up("tl"), path);
    check_signature();
  }

  // Prints one line for each detection.
  void detect(Frame frame, const std::string& frame_path) const {
    const Tensor input = describe_input();
    const auto fits = [](std::int64_t fixed, std::int64_t found) { return fixed < 0 || fixed == found; };
    const auto size_text = [](std::int64_t size) { return size < 0 ? "any" : std::to_string(size); };
    if (!fits(input.shape[1], frame.height_px) || !fits(input.shape[2], frame.width_px))
      throw BadInput(frame_path + ": " + size_text(frame.width_px) + " x " + size_text(frame.height_px) +
                     " pixels, expected " + size_text(input.shape[2]) + " x " + size_text(input.shape[1]) +
                     ", the size that " + path_ + " was exported for");
    if (contract_.takes_bgr)
      for (std::size_t i = 0; i < frame.rgb.size(); i += 3) std::swap(frame.rgb[i], frame.rgb[i + 2]);

    const auto memory =
        make(api().ReleaseMemoryInfo, path_, api().CreateCpuMemoryInfo, OrtArenaAllocator, OrtMemTypeDefault);
    const std::int64_t shape[] = {1, frame.height_px, frame.width_px, 3};
    const auto image = make(api().ReleaseValue, path_, api().CreateTensorWithDataAsOrtValue, memory.get(),
                            static_cast<void*>(frame.rgb.data()), frame.rgb.size(), shape, std::size_t{4},
                            ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8);
    const OrtValue* const inputs[] = {image.get()};
    OrtValue* values[4] = {};
    OrtStatus* const status = api().Run(session_.get(), nullptr, &kInput, inputs, 1, kOutputs, 4, values);
    std::vector<Owned<OrtValue>> outputs;
    for (OrtValue* value : values) outputs.emplace_back(value, api().ReleaseValue);
    check(status, path_);
    print(outputs);
  }

 private:
  void check_hash(const std::string& bytes) const {
    const std::string hash_path = path_ + ".sha256";
    if (!std::filesystem::exists(hash_path))
      throw BadInput(path_ + ": no " + hash_path + ", so it may have been changed; bring the one that belongs to it");
    const std::string line = read_file(hash_path);
    const std::string expected = line.substr(0, line.find_first_of(" \t\r\n")), found = sha256(bytes);
    if (found != expected)
      throw BadInput(path_ + ": SHA-256 " + found + ", expected '" + expected.substr(0, 64) + "' as in " + hash_path +
                     "; the file is not the one that was exported");
  }

  std::string look_up(const char* key) const {
    OrtAllocator* allocator = nullptr;
    check(api().GetAllocatorWithDefaultOptions(&allocator), path_);
    const auto metadata = make(api().ReleaseModelMetadata, path_, api().SessionGetModelMetadata, session_.get());
    char* found = nullptr;
    check(api().ModelMetadataLookupCustomMetadataMap(metadata.get(), allocator, key, &found), path_);
    if (found == nullptr)
      throw BadInput(path_ + ": an ONNX file without tl's metadata, so its classes are unknown; make one: tl export");
    std::string text = found;
    check(api().AllocatorFree(allocator, found), path_);
    return text;
  }

  Tensor describe_input() const {
    const auto info = make(api().ReleaseTypeInfo, path_, api().SessionGetInputTypeInfo, session_.get(), std::size_t{0});
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;
    check(api().CastTypeInfoToTensorInfo(info.get(), &tensor), path_);
    return tensor == nullptr ? Tensor{} : describe(tensor, path_);
  }

  // Scores with which a caller may replace thresholds are initializers, not counted among the inputs.
  void check_signature() const {
    std::size_t n_inputs = 0, n_outputs = 0;
    check(api().SessionGetInputCount(session_.get(), &n_inputs), path_);
    check(api().SessionGetOutputCount(session_.get(), &n_outputs), path_);
    const Tensor input = n_inputs == 1 ? describe_input() : Tensor{};
    const bool is_image = input.type == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 && input.shape.size() == 4;
    if (n_outputs != 4 || !is_image || input.shape[3] != 3)
      throw BadInput(path_ + ": expected one input of uint8 (1, H, W, 3) and four outputs, from a frame to its boxes");
    if (input.shape[0] != 1)
      throw BadInput(path_ + ": takes " + (input.shape[0] > 0 ? std::to_string(input.shape[0]) : "any number of") +
                     " frames at once, expected 1");
  }

  void print(const std::vector<Owned<OrtValue>>& outputs) const {
    std::vector<Tensor> tensors;
    std::vector<const void*> data;
    for (const auto& output : outputs) {
      const auto info = make(api().ReleaseTensorTypeAndShapeInfo, path_, api().GetTensorTypeAndShape, output.get());
      tensors.push_back(describe(info.get(), path_));
      if (tensors.back().type != kOutputTypes[tensors.size() - 1])
        throw BadInput(path_ + ": output '" + kOutputs[tensors.size() - 1] + "' has another type than the contract's");
      void* values = nullptr;
      check(api().GetTensorMutableData(output.get(), &values), path_);
      data.push_back(values);
    }
    const std::int64_t rows = tensors[2].shape.size() == 2 ? tensors[2].shape[1] : -1;
    using Shape = std::vector<std::int64_t>;
    if (rows < 0 || tensors[0].shape != Shape{1, 1} || tensors[1].shape != Shape{1, rows, 4} ||
        tensors[2].shape != Shape{1, rows} || tensors[3].shape != Shape{1, rows})
      throw BadInput(path_ + ": outputs of other shapes than (1, 1), (1, K, 4), (1, K), (1, K)");

    const std::int32_t count = *static_cast<const std::int32_t*>(data[0]);
    const auto* xyxy = static_cast<const float*>(data[1]);
    const auto* scores = static_cast<const float*>(data[2]);
    const auto* classes = static_cast<const std::int32_t*>(data[3]);
    if (count == -1)  // the contract's word for it; an empty list would look like a road without lights
      throw BadInput(path_ + ": the network gave numbers that are not finite; a damaged or badly quantised file");
    if (count < 0 || count > rows)
      throw BadInput(path_ + ": reports " + std::to_string(count) + " of " + std::to_string(rows) + " rows");
    const auto n_classes = static_cast<std::int32_t>(contract_.labels.size());
    std::string lines;
    for (std::int32_t i = 0; i < count; ++i, xyxy += 4) {
      // What a damaged network gives must not become a light.
      bool is_sound = std::isfinite(scores[i]) && classes[i] >= 0 && classes[i] < n_classes;
      for (int side = 0; side < 4; ++side) is_sound = is_sound && std::isfinite(xyxy[side]);
      if (!is_sound) throw BadInput(path_ + ": detection " + std::to_string(i) + " is no number or of no known class");
      const Label& label = contract_.labels[static_cast<std::size_t>(classes[i])];
      char numbers[160];
      std::snprintf(numbers, sizeof numbers, "\t%.6f\t%.3f\t%.3f\t%.3f\t%.3f\n", static_cast<double>(scores[i]),
                    static_cast<double>(xyxy[0]), static_cast<double>(xyxy[1]), static_cast<double>(xyxy[2]),
                    static_cast<double>(xyxy[3]));
      lines += label.name + '\t' + label.state + numbers;
    }
    // All or nothing: a reader never sees the first half of a frame whose second half is unsound.
    std::fputs(lines.c_str(), stdout);
  }

  std::string path_;
  Owned<OrtEnv> environment_;
  Owned<OrtSession> session_;
  Contract contract_;
};

}  // namespace
}  // namespace tl

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: tl_detect FILE.onnx FRAME.ppm\n");
    return 2;
  }
  try {
    const tl::Model model(argv[1]);
    model.detect(tl::read_ppm(argv[2]), argv[2]);
    return std::fflush(stdout) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
