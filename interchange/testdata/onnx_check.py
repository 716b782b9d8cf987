# The ONNX project's own reading of a model.
#
#   onnx_check.py MODEL INITIALIZERS
#
# checks MODEL, with strict shape inference, writes its initializers, but for those of
# integers, as safetensors and prints the rest of what it says in JSON.
import json
import sys

import onnx
from onnx import numpy_helper, shape_inference

from safetensors_numpy import save

model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
save(sys.argv[2], {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type != onnx.TensorProto.INT64})


def value(v):
    t = v.type.tensor_type
    return f"{v.name} {onnx.TensorProto.DataType.Name(t.elem_type)} {[d.dim_param or d.dim_value for d in t.shape.dim]}"


print(json.dumps({
    "operators": [n.op_type for n in model.graph.node],
    "inputs": [value(v) for v in model.graph.input],
    "outputs": [value(v) for v in model.graph.output],
    "inferred": [value(v).split(" ", 1)[1] for v in inferred.value_info],
    "opset": [[o.domain, o.version] for o in model.opset_import],
    "producer": model.producer_name,
    "metadata": {p.key: p.value for p in model.metadata_props},
}))
