import LeafFormat
package import LeafSystem

/// Reads the pickles that torch writes for state dicts, and nothing else.
///
/// A pickle is a program. This reader runs only the instructions that build numbers, strings, tuples, lists,
/// dictionaries and tensors, and knows only the names that torch's tensors need. It refuses any other name before
/// anything happens. Containers refer to each other by number, so neither depth nor cycles cost anything.
package struct Unpickler {
    /// The value of a name in a state dict.
    package struct Tensor: Equatable {
        let storage: Storage
        /// The offset in elements.
        let offset: Int
        let shape: [Int]
        let strides: [Int]
    }

    package struct Storage: Equatable {
        let type: SourceTensor.ElementType
        /// The name of the entry in the archive.
        let key: String
        /// The number of elements.
        let count: Int
    }

    private enum Value {
        case none
        case bool(Bool)
        case int(Int)
        case float(Double)
        case string(String)
        case tuple(Int)
        case list(Int)
        case dictionary(Int)
        case name(Name)
        case storage(Int)
        case tensor(Int)
    }

    /// The names that a pickle may use.
    private enum Name: Equatable {
        case orderedDictionary
        case rebuildTensor
        case rebuildParameter
        case storage(SourceTensor.ElementType)
    }

    private static let names: [String: Name] = [
        "collections.OrderedDict": .orderedDictionary,
        "torch._utils._rebuild_tensor_v2": .rebuildTensor,
        "torch._utils._rebuild_parameter": .rebuildParameter,
        "torch.HalfStorage": .storage(.f16), "torch.FloatStorage": .storage(.f32),
        "torch.BFloat16Storage": .storage(.bf16), "torch.DoubleStorage": .storage(.f64),
        "torch.CharStorage": .storage(.i8), "torch.ByteStorage": .storage(.u8), "torch.ShortStorage": .storage(.i16),
        "torch.IntStorage": .storage(.i32), "torch.LongStorage": .storage(.i64), "torch.BoolStorage": .storage(.bool),
        "torch.storage.UntypedStorage": .storage(.u8), "torch.UntypedStorage": .storage(.u8),
    ]

    /// The largest released state dict has 0.1 MB.
    package static let maximumBytes = 1 << 20
    /// Values on the stack, remembered, and in containers, and the containers. torch writes two to six bytes for each,
    /// and the largest released state dict needs 16,000.
    private static func maximumValues(byteCount: Int) -> Int { min(1 << 17, 1 << 10 + byteCount / 2) }
    private static let maximumString = 1 << 16
    private static let maximumRank = 16
    /// The most heap bytes that a pickle can make of itself: values, small arrays, strings, and the tensors that come
    /// of them. A value takes 128 at most: 24 in an array that has doubled while the old one is there, and more in a
    /// dictionary.
    package static func heapBound(byteCount: Int) -> Int { 128 *| maximumValues(byteCount: byteCount) +| byteCount }

    private let path: String
    private let bytes: [UInt8]
    private var position = 0
    private var stack: [Value] = []
    private var marks: [Int] = []
    private var memo: [Int: Value] = [:]
    private var tuples: [[Value]] = []
    private var lists: [[Value]] = []
    private var dictionaries: [[(key: Value, value: Value)]] = []
    private var storages: [Storage] = []
    private var tensors: [Tensor] = []
    /// Values in containers, and the containers.
    private var kept = 0

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
        self.path = path
        self.bytes = bytes
    }

    private mutating func run() throws(LeafError) -> [(name: String, tensor: Tensor)] {
        let most = Self.maximumValues(byteCount: bytes.count)
        while true {
            let opcode = try byte()
            if opcode == UInt8(ascii: ".") { break }
            try execute(opcode)
            guard stack.count + marks.count + memo.count + kept <= most else {
                throw fault("the pickle keeps too much at once")
            }
        }
        guard case .dictionary(let index) = try pop() else { throw fault("the pickle is not a dictionary of tensors") }
        var result: [(name: String, tensor: Tensor)] = []
        result.reserveCapacity(dictionaries[index].count)
        for (key, value) in dictionaries[index] {
            guard case .string(let name) = key else { throw fault("the state dict has a key that is not a string") }
            guard case .tensor(let index) = value else {
                throw fault("`\(name)` is not a tensor; save the state dict alone")
            }
            result.append((name, tensors[index]))
        }
        return result
    }

    // MARK: instructions

    private mutating func execute(_ opcode: UInt8) throws(LeafError) {
        switch opcode {
        case 0x80:
            let version = try byte()
            guard version <= 5 else { throw fault("the pickle has protocol \(version), 5 is the highest known here") }
        case 0x95: try skip(8)
        case UInt8(ascii: "("): marks.append(stack.count)
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "N"): stack.append(.none)
        case 0x88: stack.append(.bool(true))
        case 0x89: stack.append(.bool(false))
        case UInt8(ascii: "K"): stack.append(.int(Int(try byte())))
        case UInt8(ascii: "M"): stack.append(.int(try unsigned(2)))
        case UInt8(ascii: "J"): stack.append(.int(Int(Int32(truncatingIfNeeded: try unsigned(4)))))
        case 0x8A: stack.append(.int(try long()))
        case UInt8(ascii: "G"):
            let bits = try take(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            stack.append(.float(Double(bitPattern: bits)))
        case UInt8(ascii: "X"): stack.append(.string(try string(unsigned(4))))
        case 0x8C: stack.append(.string(try string(unsigned(1))))
        case 0x8D: stack.append(.string(try string(unsigned(8))))
        case UInt8(ascii: "c"): stack.append(.name(try name("\(line()).\(line())")))
        case 0x93:
            guard case .string(let last) = try pop(), case .string(let first) = try pop() else { throw misuse(opcode) }
            stack.append(.name(try name("\(first).\(last)")))
        case UInt8(ascii: "q"): memo[Int(try byte())] = try top()
        case UInt8(ascii: "r"): memo[try unsigned(4)] = try top()
        case 0x94: memo[memo.count] = try top()
        case UInt8(ascii: "h"): try recall(Int(byte()))
        case UInt8(ascii: "j"): try recall(unsigned(4))
        case UInt8(ascii: ")"): pushTuple([])
        case 0x85, 0x86, 0x87: pushTuple(try pop(Int(opcode) - 0x84))
        case UInt8(ascii: "t"): pushTuple(try popToMark())
        case UInt8(ascii: "]"):
            lists.append([])
            kept += 1
            stack.append(.list(lists.count - 1))
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
            guard case .dictionary = try top() else { throw misuse(opcode) }
        default: throw misuse(opcode)
        }
    }

    private mutating func recall(_ index: Int) throws(LeafError) {
        guard let value = memo[index] else { throw fault("the pickle recalls what it never kept") }
        stack.append(value)
    }

    private mutating func pushTuple(_ values: [Value]) {
        tuples.append(values)
        kept += 1 + values.count
        stack.append(.tuple(tuples.count - 1))
    }

    private mutating func pushDictionary() {
        dictionaries.append([])
        kept += 1
        stack.append(.dictionary(dictionaries.count - 1))
    }

    private mutating func append(_ values: [Value]) throws(LeafError) {
        guard case .list(let index) = try top() else { throw misuse(UInt8(ascii: "a")) }
        lists[index] += values
        kept += values.count
    }

    private mutating func setItems(_ values: [Value]) throws(LeafError) {
        guard case .dictionary(let index) = try top(), values.count % 2 == 0 else { throw misuse(UInt8(ascii: "u")) }
        kept += values.count
        for item in stride(from: 0, to: values.count, by: 2) {
            dictionaries[index].append((values[item], values[item + 1]))
        }
    }

    /// `('storage', torch.HalfStorage, key, location, count)`.
    private mutating func loadStorage() throws(LeafError) {
        guard case .tuple(let index) = try pop(), tuples[index].count == 5, case .string("storage") = tuples[index][0],
            case .name(.storage(let type)) = tuples[index][1], case .string(let key) = tuples[index][2],
            case .int(let count) = tuples[index][4], count >= 0
        else { throw misuse(UInt8(ascii: "Q")) }
        storages.append(Storage(type: type, key: key, count: count))
        kept += 1
        stack.append(.storage(storages.count - 1))
    }

    /// Calls one of the three known functions.
    private mutating func reduce() throws(LeafError) {
        guard case .tuple(let index) = try pop(), case .name(let name) = try pop() else {
            throw misuse(UInt8(ascii: "R"))
        }
        let arguments = tuples[index]
        switch name {
        case .orderedDictionary where arguments.isEmpty: pushDictionary()
        case .rebuildParameter where arguments.count == 3:
            guard case .tensor = arguments[0] else { throw misuse(UInt8(ascii: "R")) }
            stack.append(arguments[0])
        case .rebuildTensor where arguments.count == 6 || arguments.count == 7:
            guard case .storage(let storage) = arguments[0], case .int(let offset) = arguments[1], offset >= 0 else {
                throw misuse(UInt8(ascii: "R"))
            }
            let tensor = Tensor(
                storage: storages[storage], offset: offset, shape: try sizes(arguments[2]),
                strides: try sizes(arguments[3]))
            tensors.append(tensor)
            kept += 1 + tensor.shape.count + tensor.strides.count
            stack.append(.tensor(tensors.count - 1))
        default: throw misuse(UInt8(ascii: "R"))
        }
    }

    private func sizes(_ value: Value) throws(LeafError) -> [Int] {
        guard case .tuple(let index) = value, tuples[index].count <= Self.maximumRank else {
            throw misuse(UInt8(ascii: "R"))
        }
        var sizes: [Int] = []
        for value in tuples[index] {
            guard case .int(let size) = value, size >= 0 else { throw misuse(UInt8(ascii: "R")) }
            sizes.append(size)
        }
        return sizes
    }

    private func name(_ text: String) throws(LeafError) -> Name {
        guard let name = Self.names[text] else {
            throw LeafError(
                .badInput,
                "\(path) asks for `\(text)`, which no state dict needs; it may be hostile, "
                    + "do not open it with other programs"
            )
        }
        return name
    }

    // MARK: stack and bytes

    private func top() throws(LeafError) -> Value {
        guard let value = stack.last, stack.count > marks.last ?? 0 else {
            throw fault("the pickle's stack runs empty")
        }
        return value
    }

    private mutating func pop() throws(LeafError) -> Value {
        _ = try top()
        return stack.removeLast()
    }

    private mutating func pop(_ count: Int) throws(LeafError) -> [Value] {
        guard stack.count - (marks.last ?? 0) >= count else { throw fault("the pickle's stack runs empty") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popToMark() throws(LeafError) -> [Value] {
        guard let mark = marks.popLast() else { throw fault("the pickle closes what it never opened") }
        defer { stack.removeLast(stack.count - mark) }
        return Array(stack[mark...])
    }

    private mutating func take(_ count: Int) throws(LeafError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - position else { throw fault("the pickle is cut off") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    private mutating func skip(_ count: Int) throws(LeafError) { _ = try take(count) }

    private mutating func byte() throws(LeafError) -> UInt8 { try take(1).first! }

    /// A little-endian number of up to eight bytes; one of more than 63 bits becomes the largest number.
    private mutating func unsigned(_ count: Int) throws(LeafError) -> Int {
        Int(clamping: try take(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    /// A two's complement number of up to eight bytes.
    private mutating func long() throws(LeafError) -> Int {
        let count = Int(try byte())
        guard count <= 8 else { throw fault("the pickle has a number of \(count) bytes") }
        let digits = try take(count)
        let isNegative = (digits.last ?? 0) & 0x80 != 0
        return digits.reversed().reduce(isNegative ? -1 : 0) { $0 << 8 | Int($1) }
    }

    private mutating func string(_ count: Int) throws(LeafError) -> String {
        guard count <= Self.maximumString else { throw fault("the pickle has a string of \(count) bytes") }
        guard let text = String(validating: try take(count), as: UTF8.self) else {
            throw fault("the pickle has a string that is not UTF-8")
        }
        return text
    }

    /// The bytes up to a line break, without it.
    private mutating func line() throws(LeafError) -> String {
        guard let end = bytes[position...].prefix(256).firstIndex(of: UInt8(ascii: "\n")) else {
            throw fault("the pickle has a name without an end")
        }
        let text = try string(end - position)
        try skip(1)
        return text
    }

    private func fault(_ what: String) -> LeafError {
        LeafError(.badInput, "\(path): \(what) (at byte \(position) of the table of tensors)")
    }

    private func misuse(_ opcode: UInt8) -> LeafError {
        fault("the pickle's instruction 0x\(String(opcode, radix: 16)) is not one that a state dict needs here")
    }
}
