import LeafFormat

/// The names of classes and functions that mean something in torch's pickles. No code of theirs is ever run.
enum PickleName: Equatable {
    case orderedDictionary
    case rebuildTensor
    case rebuildTypedTensor
    case rebuildParameter
    case rebuildParameterWithState
    case rebuildFromType
    case storage(SourceTensor.ElementType)
    case type(SourceTensor.ElementType)

    /// Of a name with its module.
    static let maximumBytes = 256

    /// - Parameter text: with the module in front.
    init?(_ text: String) {
        guard let name = Self.known[text] else { return nil }
        self = name
    }

    private static let known: [String: PickleName] = [
        "collections.OrderedDict": .orderedDictionary,
        "torch._utils._rebuild_tensor_v2": .rebuildTensor,
        "torch._utils._rebuild_tensor_v3": .rebuildTypedTensor,
        "torch._utils._rebuild_parameter": .rebuildParameter,
        "torch._utils._rebuild_parameter_with_state": .rebuildParameterWithState,
        "torch._tensor._rebuild_from_type_v2": .rebuildFromType,
        "torch.HalfStorage": .storage(.f16), "torch.FloatStorage": .storage(.f32),
        "torch.BFloat16Storage": .storage(.bf16), "torch.DoubleStorage": .storage(.f64),
        "torch.CharStorage": .storage(.i8), "torch.ByteStorage": .storage(.u8), "torch.ShortStorage": .storage(.i16),
        "torch.IntStorage": .storage(.i32), "torch.LongStorage": .storage(.i64), "torch.BoolStorage": .storage(.bool),
        "torch.storage.UntypedStorage": .storage(.u8), "torch.UntypedStorage": .storage(.u8),
        "torch.float16": .type(.f16), "torch.float32": .type(.f32), "torch.bfloat16": .type(.bf16),
        "torch.float64": .type(.f64), "torch.int8": .type(.i8), "torch.uint8": .type(.u8), "torch.int16": .type(.i16),
        "torch.int32": .type(.i32), "torch.int64": .type(.i64), "torch.bool": .type(.bool),
    ]

    /// Whether what a name stands for reaches files, processes, the network or the interpreter. No checkpoint needs
    /// that, and a pickle that names it wants it called.
    static func acts(_ text: String) -> Bool {
        // Since protocol 4, the part behind the module may hold dots too.
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if ["builtins", "__builtin__", "__builtins__"].contains(parts[0]) {
            return parts.count != 2 || !plainTypes.contains(parts[1])
        }
        return actingModules.contains(parts[0]) || actingFunctions.contains(text)
    }

    private static let actingModules: Set<String> = [
        "_io", "_operator", "_pickle", "_posixsubprocess", "_thread", "_winapi", "asyncio", "bdb", "cgitb",
        "cloudpickle", "code", "codeop", "commands", "concurrent", "ctypes", "dill", "distutils", "ftplib", "http",
        "imp", "importlib", "inspect", "io", "joblib", "marshal", "mmap", "multiprocessing", "nt", "ntpath",
        "operator", "os", "pdb", "pickle", "pip", "pkgutil", "platform", "popen2", "posix", "posixpath", "pty",
        "pydoc", "requests", "runpy", "setuptools", "shelve", "shutil", "signal", "smtplib", "socket", "socketserver",
        "ssl", "subprocess", "sys", "tempfile", "threading", "timeit", "urllib", "webbrowser", "xmlrpc", "zipimport",
    ]
    private static let actingFunctions: Set<String> = [
        "numpy.load", "torch.hub.load", "torch.hub.load_state_dict_from_url", "torch.jit.load", "torch.load",
        "torch.serialization.load", "torch.utils.cpp_extension.load", "types.CodeType", "types.FunctionType",
        "types.LambdaType",
    ]
    /// The built-in names that do not act.
    private static let plainTypes: Set<String> = [
        "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "long", "object", "range",
        "set", "slice", "str", "tuple", "unicode", "xrange",
    ]
}
