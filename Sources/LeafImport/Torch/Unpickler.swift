import LeafFormat
package import LeafSystem

/// Reads the pickles that torch writes for state dicts, and nothing else.
///
/// A pickle is a program. This reader runs only the instructions that build numbers, strings, tuples, lists,
/// dictionaries and tensors, and knows only the names that torch's tensors need. What other names build is a mere
/// object: nothing of it is kept but the name, and nothing is ever called. It does no harm where no tensor depends on
/// it. Names of modules that act on the machine are refused wherever they stand. Containers refer to each other by
/// number, so neither depth nor cycles cost anything.
package struct Unpickler {
    /// The value of a name in a state dict.
    package struct Tensor: Equatable {
        let storage: Storage
        /// The offset in elements.
        let offset: Int
        package let shape: [Int]
        let strides: [Int]
    }

    package struct Storage: Equatable {
        let type: SourceTensor.ElementType
        /// The name of the entry in the archive.
        let key: String
        /// The number of elements.
        let count: Int
    }

    /// The largest released state dict has 0.1 MB.
    package static let maximumBytes = 1 << 20
    /// Values on the stack, remembered, and in containers, and the containers. torch writes two to six bytes for each,
    /// and the largest released state dict needs 16,000.
    private static func maximumValues(byteCount: Int) -> Int { min(1 << 17, 1 << 10 + byteCount / 2) }
    private static let maximumRank = 16
    /// The most heap bytes that a pickle can make of itself: values, small arrays, strings, and the tensors that come
    /// of them. A value takes 128 at most: 24 in an array that has doubled while the old one is there, and more in a
    /// dictionary.
    package static func heapBound(byteCount: Int) -> Int { 128 *| maximumValues(byteCount: byteCount) +| byteCount }

    private var source: PickleBytes
    private var stack: [PickleValue] = []
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]
    private var values = PickleValues()

    /// Runs a pickle whose result is a dictionary of tensors.
    ///
    /// - Parameter path: the file's name, for messages.
    /// - Throws: `.badInput` naming the instruction or the name that is refused, and its offset.
    package static func stateDict(_ bytes: [UInt8], path: String) throws(LeafError) -> [(name: String, tensor: Tensor)]
    {
        guard bytes.count <= maximumBytes else {
            throw LeafError(
                .badInput, "\(path): the table of tensors has \(bytes.count.sizeText), too much for a state dict")
        }
        var unpickler = Unpickler(path: path, bytes: bytes)
        return try unpickler.run()
    }

    private init(path: String, bytes: [UInt8]) {
        source = PickleBytes(path: path, bytes: bytes)
    }

    private mutating func run() throws(LeafError) -> [(name: String, tensor: Tensor)] {
        let dictionary = try result()
        return try values.stateDict(in: dictionary, fault: source.fault)
    }

    /// What the next pickle makes. Several may follow each other; they share nothing but what is kept.
    private mutating func result() throws(LeafError) -> PickleValue {
        let most = Self.maximumValues(byteCount: source.count)
        (stack, marks, memo) = ([], [], [:])
        while true {
            let opcode = try source.byte()
            if opcode == UInt8(ascii: ".") { break }
            try execute(opcode)
            guard stack.count + marks.count + memo.count + values.kept <= most else {
                throw fault("the pickle keeps too much at once")
            }
        }
        return try pop()
    }

    /// What stands in front of the storages in a file of torch before 1.6.
    struct OldTable {
        let stateDict: [(name: String, tensor: Tensor)]
        /// In the order in which they lie in the file.
        let storages: [Storage]
        /// Where the first begins.
        let end: Int
    }

    /// The pickle of the magic number, which is longer than other numbers.
    static let oldMagic: [UInt8] = [
        0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
    ]

    /// Runs the five pickles at the beginning of such a file: the magic number, the version, the machine, the state
    /// dict, and the keys of the storages.
    ///
    /// - Source: `_legacy_save` in torch's `serialization.py`.
    static func oldTable(_ bytes: [UInt8], path: String) throws(LeafError) -> OldTable {
        var unpickler = Unpickler(path: path, bytes: bytes)
        try unpickler.source.skip(oldMagic.count)
        guard case .int(1001) = try unpickler.result() else {
            throw unpickler.fault("the file has another version than 1001")
        }
        let machine = try unpickler.result()
        guard unpickler.values.isTrue("little_endian", in: machine) else {
            throw unpickler.fault("the file was saved on a big-endian machine")
        }
        let stateDict = try unpickler.run()
        guard case .list(let list) = try unpickler.result() else { throw unpickler.fault("the keys are no list") }
        let known = Dictionary(unpickler.values.storages.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        var storages: [Storage] = []
        for value in unpickler.values.lists[list] {
            guard case .string(let key) = value, let storage = known[key] else {
                throw unpickler.fault("there is a storage of which nothing is known")
            }
            storages.append(storage)
        }
        return OldTable(stateDict: stateDict, storages: storages, end: unpickler.source.position)
    }

    // MARK: instructions

    private mutating func execute(_ opcode: UInt8) throws(LeafError) {
        switch opcode {
        case 0x80:
            let version = try source.byte()
            guard version <= 5 else { throw fault("the pickle has protocol \(version), 5 is the highest known here") }
        case 0x95: try source.skip(8)
        case UInt8(ascii: "("): marks.append(stack.count)
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "N"): stack.append(.none)
        case 0x88: stack.append(.bool(true))
        case 0x89: stack.append(.bool(false))
        case UInt8(ascii: "K"): stack.append(.int(Int(try source.byte())))
        case UInt8(ascii: "M"): stack.append(.int(try source.unsigned(2)))
        case UInt8(ascii: "J"): stack.append(.int(Int(Int32(truncatingIfNeeded: try source.unsigned(4)))))
        case 0x8A: stack.append(.int(try source.long()))
        case UInt8(ascii: "G"):
            let bits = try source.take(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            stack.append(.float(Double(bitPattern: bits)))
        case UInt8(ascii: "X"): stack.append(.string(try source.string(source.unsigned(4))))
        case 0x8C: stack.append(.string(try source.string(source.unsigned(1))))
        case 0x8D: stack.append(.string(try source.string(source.unsigned(8))))
        case UInt8(ascii: "c"):
            let module = try source.line()
            stack.append(try named(source.line(), in: module))
        case 0x93:
            guard case .string(let last) = try pop(), case .string(let first) = try pop() else { throw misuse(opcode) }
            stack.append(try named(last, in: first))
        case UInt8(ascii: "q"): memo[Int(try source.byte())] = try top()
        case UInt8(ascii: "r"): memo[try source.unsigned(4)] = try top()
        case 0x94: memo[memo.count] = try top()
        case UInt8(ascii: "h"): try recall(Int(source.byte()))
        case UInt8(ascii: "j"): try recall(source.unsigned(4))
        case UInt8(ascii: ")"): pushTuple([])
        case 0x85, 0x86, 0x87: pushTuple(try pop(Int(opcode) - 0x84))
        case UInt8(ascii: "t"): pushTuple(try popToMark())
        case UInt8(ascii: "]"):
            values.lists.append([])
            values.kept += 1
            stack.append(.list(values.lists.count - 1))
        case UInt8(ascii: "a"): try append(pop(1))
        case UInt8(ascii: "e"): try append(popToMark())
        case UInt8(ascii: "}"): pushDictionary()
        case UInt8(ascii: "s"): try setItems(pop(2))
        case UInt8(ascii: "u"): try setItems(popToMark())
        case UInt8(ascii: "Q"): try loadStorage()
        case UInt8(ascii: "R"): try reduce()
        case UInt8(ascii: "b"):
            // torch stores versions of modules as attributes of the dictionary; they do not matter here.
            _ = try pop()
            switch try top() {
            case .dictionary, .object: break
            default: throw misuse(opcode)
            }
        default: try executeForObjects(opcode)
        }
    }

    /// The instructions that no state dict needs, but what lies beside one.
    private mutating func executeForObjects(_ opcode: UInt8) throws(LeafError) {
        switch opcode {
        case 0x8B: try pushObject("int", skipping: source.unsigned(4))
        case UInt8(ascii: "C"), UInt8(ascii: "U"): try pushObject("bytes", skipping: source.unsigned(1))
        case UInt8(ascii: "B"), UInt8(ascii: "T"): try pushObject("bytes", skipping: source.unsigned(4))
        case 0x8E, 0x96: try pushObject("bytes", skipping: source.unsigned(8))
        case 0x8F: try pushObject("set", skipping: 0)
        case 0x90:
            _ = try popToMark()
            guard case .object = try top() else { throw misuse(opcode) }
        case 0x91:
            _ = try popToMark()
            try pushObject("frozenset", skipping: 0)
        case 0x81, 0x92:
            // A class, and what its objects are made from.
            _ = try pop(opcode == 0x81 ? 1 : 2)
            switch try pop() {
            case .object(let index): stack.append(.object(index))
            case .name(.orderedDictionary): pushDictionary()
            default: throw misuse(opcode)
            }
        default: throw misuse(opcode)
        }
    }

    private mutating func pushObject(_ name: String, skipping count: Int) throws(LeafError) {
        try source.skip(count)
        stack.append(.object(try values.strange(name, fault: source.fault)))
    }

    private mutating func recall(_ index: Int) throws(LeafError) {
        guard let value = memo[index] else { throw fault("the pickle recalls what it never kept") }
        stack.append(value)
    }

    private mutating func pushTuple(_ items: [PickleValue]) {
        values.tuples.append(items)
        values.kept += 1 + items.count
        stack.append(.tuple(values.tuples.count - 1))
    }

    private mutating func pushDictionary() {
        values.dictionaries.append([])
        values.kept += 1
        stack.append(.dictionary(values.dictionaries.count - 1))
    }

    private mutating func append(_ items: [PickleValue]) throws(LeafError) {
        switch try top() {
        case .list(let index):
            values.lists[index] += items
            values.kept += items.count
        case .object: break
        default: throw misuse(UInt8(ascii: "a"))
        }
    }

    private mutating func setItems(_ items: [PickleValue]) throws(LeafError) {
        guard items.count % 2 == 0 else { throw misuse(UInt8(ascii: "u")) }
        if case .object = try top() { return }
        guard case .dictionary(let index) = try top() else { throw misuse(UInt8(ascii: "u")) }
        values.kept += items.count
        for item in stride(from: 0, to: items.count, by: 2) {
            values.dictionaries[index].append((items[item], items[item + 1]))
        }
    }

    /// `('storage', torch.HalfStorage, key, location, count)`; before torch 1.6 also which part of another it is.
    private mutating func loadStorage() throws(LeafError) {
        guard case .tuple(let index) = try pop() else { throw misuse(UInt8(ascii: "Q")) }
        let parts = values.tuples[index]
        guard parts.count == 5 || parts.count == 6 && parts[5].isNone, case .string("storage") = parts[0],
            case .string(let key) = parts[2], case .int(let count) = parts[4], count >= 0
        else { throw misuse(UInt8(ascii: "Q")) }
        switch parts[1] {
        case .name(.storage(let type)):
            values.storages.append(Storage(type: type, key: key, count: count))
            values.kept += 1
            stack.append(.storage(values.storages.count - 1))
        case .object(let name): stack.append(.object(name))
        default: throw misuse(UInt8(ascii: "Q"))
        }
    }

    /// Calls one of the known functions. What others would make is an object.
    private mutating func reduce() throws(LeafError) {
        guard case .tuple(let index) = try pop() else { throw misuse(UInt8(ascii: "R")) }
        switch try pop() {
        case .object(let name): stack.append(.object(name))
        case .name(.rebuildFromType):
            // The function for plain tensors, the class, the function's arguments, and attributes.
            guard values.tuples[index].count == 4, case .name(let function) = values.tuples[index][0],
                case .tuple(let inner) = values.tuples[index][2], function != .rebuildFromType
            else { throw misuse(UInt8(ascii: "R")) }
            try call(function, values.tuples[inner])
        case .name(let function): try call(function, values.tuples[index])
        default: throw misuse(UInt8(ascii: "R"))
        }
    }

    private mutating func call(_ function: PickleName, _ arguments: [PickleValue]) throws(LeafError) {
        switch function {
        case .orderedDictionary where arguments.isEmpty: pushDictionary()
        case .rebuildParameter where arguments.count == 3, .rebuildParameterWithState where arguments.count == 4:
            switch arguments[0] {
            case .tensor, .strangeTensor, .object: stack.append(arguments[0])
            default: throw misuse(UInt8(ascii: "R"))
            }
        case .rebuildTensor where arguments.count == 6 || arguments.count == 7: try pushTensor(arguments, type: nil)
        case .rebuildTypedTensor where arguments.count == 7 || arguments.count == 8:
            switch arguments[6] {
            case .name(.type(let type)): try pushTensor(arguments, type: type)
            case .object(let name): stack.append(.strangeTensor(name))
            default: throw misuse(UInt8(ascii: "R"))
            }
        default: throw misuse(UInt8(ascii: "R"))
        }
    }

    /// `(storage, offset, shape, strides, ...)`.
    ///
    /// - Parameter type: of the elements, where the storage holds bytes; nil for that of the storage.
    private mutating func pushTensor(_ arguments: [PickleValue], type: SourceTensor.ElementType?) throws(LeafError) {
        // A storage whose numbers are not read.
        if case .object(let name) = arguments[0] {
            stack.append(.strangeTensor(name))
            return
        }
        guard case .storage(let index) = arguments[0], case .int(let offset) = arguments[1], offset >= 0 else {
            throw misuse(UInt8(ascii: "R"))
        }
        var storage = values.storages[index]
        if let type {
            guard storage.type == .u8 else { throw misuse(UInt8(ascii: "R")) }
            storage = Storage(type: type, key: storage.key, count: storage.count / type.byteCount)
        }
        let tensor = Tensor(
            storage: storage, offset: offset, shape: try sizes(arguments[2]), strides: try sizes(arguments[3]))
        values.tensors.append(tensor)
        values.kept += 1 + tensor.shape.count + tensor.strides.count
        stack.append(.tensor(values.tensors.count - 1))
    }

    private func sizes(_ value: PickleValue) throws(LeafError) -> [Int] {
        guard case .tuple(let index) = value, values.tuples[index].count <= Self.maximumRank else {
            throw misuse(UInt8(ascii: "R"))
        }
        var sizes: [Int] = []
        for value in values.tuples[index] {
            guard case .int(let size) = value, size >= 0 else { throw misuse(UInt8(ascii: "R")) }
            sizes.append(size)
        }
        return sizes
    }

    /// What a name stands for.
    ///
    /// - Throws: `.badInput` for one of a module that acts.
    private mutating func named(_ last: String, in module: String) throws(LeafError) -> PickleValue {
        guard module.utf8.count + last.utf8.count < PickleName.maximumBytes else {
            throw fault("the pickle has a name of \(module.utf8.count + last.utf8.count) bytes")
        }
        let text = "\(module).\(last)"
        if let name = PickleName(text) { return .name(name) }
        guard !PickleName.acts(text) else {
            throw LeafError(
                .badInput,
                "\(source.path) asks for `\(text)`, which no state dict needs; it may be hostile, "
                    + "do not open it with other programs"
            )
        }
        return .object(try values.strange(text, fault: source.fault))
    }

    // MARK: stack and bytes

    private func top() throws(LeafError) -> PickleValue {
        guard let value = stack.last, stack.count > marks.last ?? 0 else {
            throw fault("the pickle's stack runs empty")
        }
        return value
    }

    private mutating func pop() throws(LeafError) -> PickleValue {
        _ = try top()
        return stack.removeLast()
    }

    private mutating func pop(_ count: Int) throws(LeafError) -> [PickleValue] {
        guard stack.count - (marks.last ?? 0) >= count else { throw fault("the pickle's stack runs empty") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popToMark() throws(LeafError) -> [PickleValue] {
        guard let mark = marks.popLast() else { throw fault("the pickle closes what it never opened") }
        defer { stack.removeLast(stack.count - mark) }
        return Array(stack[mark...])
    }

    private func fault(_ what: String) -> LeafError {
        source.fault(what)
    }

    private func misuse(_ opcode: UInt8) -> LeafError {
        fault("the pickle's instruction 0x\(String(opcode, radix: 16)) is not one that a state dict needs here")
    }
}
