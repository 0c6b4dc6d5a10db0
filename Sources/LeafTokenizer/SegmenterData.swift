internal import LeafFormat
internal import LeafSystem

/// Reads `segmenter.bin`, which `Scripts/make-segmenter-data.py` makes and every model file contains.
///
/// All numbers are little-endian. A varint has seven bits in each byte, lowest first; the top bit says that more bytes
/// follow. The parts come in this order, without gaps, up to the last byte:
///
/// | what | how |
/// | --- | --- |
/// | magic | `LEAFSEGM` |
/// | header | `u32` x 7: version 1, bytes of the whole, `a` alphabet, `w` weights, `n` nodes, `v` emission values, `e` emitting characters |
/// | alphabet | `u16` x `a`: characters of the dictionary, the most frequent first; a label is an index into it |
/// | weights | `f64` x `w`: log(frequency / total); number 0 is that of a character without a word |
/// | start | `f64` x 4: log-probabilities of the states B, E, M, S |
/// | transitions | `f64` x 8: into B from E, S; into E from B, M; into M from B, M; into S from E, S |
/// | emission values | `f64` x `v` |
/// | emissions | `e` records: varint distance to the Han character before, less one (the first counts from U+4DFF); a byte of flags, bit s for state s; a varint index of a value for each flag |
/// | trie | `n` records in breadth-first order, without the root: varint distance to the label of the sibling before, less one (the first child: the label); varint `weight << 2 | hasChildren << 1 | isLastSibling`, weight 0 where no word ends |
///
/// The file may come from anywhere, so every number is checked, and memory is bounded by the file's size.
struct SegmenterData {
    static let version: UInt32 = 1
    private static let magic = Array("LEAFSEGM".utf8)
    private static let headerBytes = 36

    let dictionary: WordDictionary
    let model: HiddenMarkovModel

    init(_ bytes: [UInt8]) throws(LeafError) {
        guard bytes.starts(with: Self.magic) else {
            throw Self.error("does not begin with LEAFSEGM")
        }
        var reader = Reader(bytes: bytes, position: Self.magic.count)
        let version = try reader.integer(UInt32.self)
        guard version == Self.version else {
            throw LeafError(
                .badInput,
                "the segmenter data has version \(version), this program reads \(Self.version); use a newer leafcutter")
        }
        guard try reader.count() == bytes.count else { throw Self.error("has another length than its header says") }
        let alphabetCount = try reader.count(upTo: BlockCharacter.count)
        let weightCount = try reader.count(upTo: Int(UInt16.max) + 1)
        let nodeCount = try reader.count(upTo: (bytes.count - Self.headerBytes) / 2)
        let valueCount = try reader.count(upTo: bytes.count / 8)
        let emittingCount = try reader.count(upTo: BlockCharacter.hanCount)

        let labels = try Self.alphabet(&reader, count: alphabetCount)
        let weights = try reader.logProbabilities(count: weightCount)
        guard !weights.isEmpty else { throw Self.error("has no weights") }
        let start = try reader.logProbabilities(count: 4)
        let transitions = try reader.logProbabilities(count: 8)
        let values = try reader.logProbabilities(count: valueCount)
        self.model = HiddenMarkovModel(
            start: start, transitions: transitions,
            emissions: try Self.emissions(&reader, values: values, count: emittingCount))
        self.dictionary = try Self.dictionary(
            &reader, nodeCount: nodeCount, alphabetCount: alphabetCount, labels: labels, weights: weights)
        guard reader.position == bytes.count else { throw Self.error("has bytes after its end") }
    }

    /// The label of each block character; `WordDictionary.noLabel` for characters in no word.
    private static func alphabet(_ reader: inout Reader, count: Int) throws(LeafError) -> [UInt16] {
        var labels = [UInt16](repeating: WordDictionary.noLabel, count: BlockCharacter.count)
        for label in 0..<count {
            let unit = try reader.integer(UInt16.self)
            guard let slot = BlockCharacter.slot(of: unit) else {
                throw error("has a character in its alphabet that jieba never looks up")
            }
            labels[slot] = UInt16(label)
        }
        return labels
    }

    /// `[hanCount]` vectors of the log-probabilities in states B, E, M, S.
    private static func emissions(
        _ reader: inout Reader, values: [Double], count: Int
    ) throws(LeafError) -> [SIMD4<Double>] {
        var table = [SIMD4<Double>](
            repeating: SIMD4(repeating: HiddenMarkovModel.impossible), count: BlockCharacter.hanCount)
        var next = 0
        for _ in 0..<count {
            let character = next + (try reader.varint())
            guard character < table.count else { throw error("emits a character that is not Han") }
            let flags = try reader.integer(UInt8.self)
            for state in 0..<4 where flags >> state & 1 == 1 {
                let index = try reader.varint()
                guard index < values.count else { throw error("names an emission value that it lacks") }
                table[character][state] = values[index]
            }
            next = character + 1
        }
        return table
    }

    private static func dictionary(
        _ reader: inout Reader, nodeCount: Int, alphabetCount: Int, labels: [UInt16], weights: [Double]
    ) throws(LeafError) -> WordDictionary {
        var trie = PrefixTrie<UInt16, UInt16>.Builder(capacity: nodeCount + 1, none: 0)
        var hasChildren = [nodeCount > 0]
        hasChildren.reserveCapacity(nodeCount + 1)
        var depth = 0
        var levelEnd = 1

        while trie.count <= nodeCount {
            if trie.openedCount == levelEnd {
                depth += 1
                levelEnd = trie.count
            }
            guard trie.openedCount < trie.count, depth < WordDictionary.maximumLength else {
                throw error("has a trie that is no tree of words")
            }
            guard hasChildren[trie.open()] else { continue }
            var next = 0
            var isLast = false
            while !isLast {
                let label = next + (try reader.varint())
                let record = try reader.varint()
                guard trie.count <= nodeCount, label < alphabetCount, record >> 2 < weights.count else {
                    throw error("has a trie with a node out of bounds")
                }
                trie.append(UInt16(label), UInt16(record >> 2))
                hasChildren.append(record & 2 != 0)
                isLast = record & 1 != 0
                next = label + 1
            }
        }
        guard !hasChildren[trie.openedCount...].contains(true) else { throw error("has a trie that ends early") }
        return WordDictionary(labels: labels, trie: trie.finish(), weights: weights)
    }

    private static func error(_ fault: String) -> LeafError {
        LeafError(.badInput, "the segmenter data \(fault); make the model's file again")
    }
}

extension SegmenterData {
    /// A position in bytes that may end anywhere.
    private struct Reader {
        let bytes: [UInt8]
        var position: Int

        mutating func integer<T: FixedWidthInteger>(_: T.Type) throws(LeafError) -> T {
            let end = position + MemoryLayout<T>.size
            guard end <= bytes.count else { throw error("ends too early") }
            var value: T = 0
            for byte in bytes[position..<end].reversed() { value = value << 8 | T(truncatingIfNeeded: byte) }
            position = end
            return value
        }

        /// A count from the header.
        mutating func count(upTo limit: Int = .max) throws(LeafError) -> Int {
            let count = Int(try integer(UInt32.self))
            guard count <= limit else { throw error("counts more than it can hold") }
            return count
        }

        /// A number of at most four bytes, so it is below 2^28.
        mutating func varint() throws(LeafError) -> Int {
            var value = 0
            for shift in stride(from: 0, to: 28, by: 7) {
                guard position < bytes.count else { throw error("ends too early") }
                let byte = bytes[position]
                position += 1
                value |= Int(byte & 0x7F) << shift
                if byte < 0x80 { return value }
            }
            throw error("has a number that is too long")
        }

        /// Numbers that are finite and not above zero, so that no sum of them is NaN.
        mutating func logProbabilities(count: Int) throws(LeafError) -> [Double] {
            guard count <= (bytes.count - position) / 8 else { throw error("ends too early") }
            var values: [Double] = []
            values.reserveCapacity(count)
            for _ in 0..<count {
                let value = Double(bitPattern: try integer(UInt64.self))
                guard value.isFinite, value <= 0 else { throw error("has a probability that is none") }
                values.append(value)
            }
            return values
        }

        private func error(_ fault: String) -> LeafError { SegmenterData.error(fault) }
    }
}
