import LeafSystem

/// A value that a pickle builds. Containers refer to each other by number.
enum PickleValue {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(String)
    case tuple(Int)
    case list(Int)
    case dictionary(Int)
    case name(PickleName)
    case storage(Int)
    case tensor(Int)
    /// What a name stands for that is not known here, or what was made of it.
    case object(Int)
    /// A tensor whose numbers are of a type that is not read.
    case strangeTensor(Int)

    var isNone: Bool {
        if case .none = self { return true }
        return false
    }
}

/// What the values of a pickle refer to.
struct PickleValues {
    var tuples: [[PickleValue]] = []
    var lists: [[PickleValue]] = []
    var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
    var storages: [Unpickler.Storage] = []
    var tensors: [Unpickler.Tensor] = []
    /// Values in containers, and the containers.
    var kept = 0
    /// Those that are not known here.
    private var strangeNames: [String] = []

    /// Names that are not known here, at most; the checkpoint of a training script has some ten.
    private static let maximumStrangeNames = 256

    /// The number of a name that is not known here.
    mutating func strange(_ name: String, fault: (String) -> LeafError) throws(LeafError) -> Int {
        if let index = strangeNames.firstIndex(of: name) { return index }
        guard strangeNames.count < Self.maximumStrangeNames else {
            throw fault("the pickle names more than \(Self.maximumStrangeNames) classes and functions")
        }
        strangeNames.append(name)
        // A long name takes as much memory as a few values.
        kept += 4
        return strangeNames.count - 1
    }

    /// Whether a dictionary has that key, and true for it.
    func isTrue(_ wanted: String, in value: PickleValue) -> Bool {
        guard case .dictionary(let index) = value else { return false }
        return dictionaries[index].contains { entry in
            guard case .string(wanted) = entry.key, case .bool(true) = entry.value else { return false }
            return true
        }
    }

    /// The tensors of a dictionary, or of the one in it that has nothing else: trainers put it beside their own state.
    ///
    /// - Parameter fault: an error of these words.
    func stateDict(
        in value: PickleValue, fault: (String) -> LeafError
    ) throws(LeafError) -> [(name: String, tensor: Unpickler.Tensor)] {
        if case .object(let index) = value {
            throw fault("the pickle is a whole \(strangeNames[index]); save its state_dict() alone")
        }
        guard case .dictionary(let index) = value else { throw fault("the pickle is not a dictionary of tensors") }
        guard let stranger = dictionaries[index].first(where: { !isNamedTensor($0) }) else {
            return namedTensors(of: index)
        }
        var inner: [(name: String, index: Int)] = []
        // Many keys may share a dictionary.
        var isStateDict: [Int: Bool] = [:]
        for (key, value) in dictionaries[index] {
            guard case .string(let name) = key, case .dictionary(let inside) = value else { continue }
            let holdsTensors =
                isStateDict[inside]
                ?? (!dictionaries[inside].isEmpty && dictionaries[inside].allSatisfy { isNamedTensor($0) })
            isStateDict[inside] = holdsTensors
            if holdsTensors { inner.append((name, inside)) }
        }
        let usual = inner.filter { Self.usualNames.contains($0.name) }
        if inner.count == 1 || usual.count == 1 { return namedTensors(of: (usual.first ?? inner[0]).index) }
        guard inner.isEmpty else {
            throw fault("there are several state dicts (\(inner.map(\.name).sorted().listed())); save one alone")
        }
        guard case .string(let name) = stranger.key else {
            throw fault("the state dict has a key that is not a string")
        }
        switch stranger.value {
        case .object(let index):
            throw fault("`\(name)` is a \(strangeNames[index]) and no tensor; save the state dict alone")
        case .strangeTensor(let index):
            throw fault("tensor \(name) holds \(strangeNames[index]), which is not read; save it as torch.float16")
        default: throw fault("`\(name)` is not a tensor; save the state dict alone")
        }
    }

    /// What trainers call the state dict of the model.
    private static let usualNames: Set<String> = ["state_dict", "model_state_dict", "model", "module"]

    private func isNamedTensor(_ entry: (key: PickleValue, value: PickleValue)) -> Bool {
        if case .string = entry.key, case .tensor = entry.value { return true }
        return false
    }

    /// Those of a dictionary that holds nothing else.
    private func namedTensors(of dictionary: Int) -> [(name: String, tensor: Unpickler.Tensor)] {
        dictionaries[dictionary].compactMap { entry in
            guard case .string(let name) = entry.key, case .tensor(let index) = entry.value else { return nil }
            return (name, tensors[index])
        }
    }
}
