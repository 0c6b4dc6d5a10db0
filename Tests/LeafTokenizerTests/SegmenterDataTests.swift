import GoldenSupport
import LeafFormat
import LeafSystem
import LeafTokenizer
import Testing

/// Writes segmenter data for a few words; the form is described at `SegmenterData`.
struct SegmenterDataWriter {
    /// Words by their log-probability, which must not be above zero.
    var words: [String: Double]
    var unknownWeight = -20.0
    var version: UInt32 = 1

    private final class Node {
        var children: [UInt16: Node] = [:]
        var weight: Double?
    }

    func bytes() -> [UInt8] {
        let alphabet = Set(words.keys.flatMap(\.utf16)).sorted()
        let weights = [unknownWeight] + words.values.sorted()
        let root = Node()
        for (word, weight) in words {
            var node = root
            for unit in word.utf16 {
                let label = UInt16(alphabet.firstIndex(of: unit)!)
                node.children[label, default: Node()] = node.children[label, default: Node()]
                node = node.children[label]!
            }
            node.weight = weight
        }

        var trie: [UInt8] = []
        var nodeCount: UInt32 = 0
        var level = [root]
        while !level.isEmpty {
            for node in level {
                var previous = -1
                let children = node.children.sorted { $0.key < $1.key }
                for (label, child) in children {
                    trie += varint(Int(label) - previous - 1)
                    let weight = child.weight.map { weights.dropFirst().firstIndex(of: $0)! } ?? 0
                    let flags = (child.children.isEmpty ? 0 : 2) + (label == children.last!.key ? 1 : 0)
                    trie += varint(weight << 2 | flags)
                    previous = Int(label)
                    nodeCount += 1
                }
            }
            level = level.flatMap { $0.children.sorted { $0.key < $1.key }.map(\.value) }
        }

        // A model that takes every Han character for a word of its own: 一 alone is emitted, in state S.
        let body =
            alphabet.flatMap { little($0) } + doubles(weights) + doubles([-3.14e100, -3.14e100, -3.14e100, 0])
            + doubles([Double](repeating: -1, count: 8)) + doubles([-0.5]) + [0, 8, 0] + trie
        let counts = [version, UInt32(36 + body.count), UInt32(alphabet.count), UInt32(weights.count), nodeCount, 1, 1]
        return Array("LEAFSEGM".utf8) + counts.flatMap { little($0) } + body
    }

    private func varint(_ value: Int) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F | 0x80)] + varint(value >> 7)
    }

    private func doubles(_ values: [Double]) -> [UInt8] { values.flatMap { little($0.bitPattern) } }

    private func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

@Suite struct SegmenterDataTests {
    private let writer = SegmenterDataWriter(words: [
        "中": -9, "国": -9, "中国": -5, "中国人": -10, "人": -4, "a": -3, "ab": -7,
    ])

    @Test func aSmallDictionaryCuts() throws {
        let segmenter = try Segmenter(data: writer.bytes())
        // 中国 + 人 is -9, 中国人 is -10.
        #expect(segmenter.words(in: "中国人 ab") == ["中国", "人", " ", "ab"])
    }

    @Test func ofEqualPathsTheLongerFirstWordWins() throws {
        let words = ["一": -2.0, "一一": -4.0]
        #expect(try Segmenter(data: SegmenterDataWriter(words: words).bytes()).words(in: "一一") == ["一一"])
    }

    @Test func anEmptyDictionaryLeavesTheModel() throws {
        let segmenter = try Segmenter(data: SegmenterDataWriter(words: [:]).bytes())
        #expect(segmenter.words(in: "一二, abc1.5%-x") == ["一", "二", ",", " ", "abc1.5%", "-", "x"])
    }

    @Test func theLongestWordHas64Characters() throws {
        let longest = String(repeating: "一", count: 64)
        #expect(
            try Segmenter(data: SegmenterDataWriter(words: [longest: -1]).bytes()).words(in: longest + "二").count == 2)
        #expect(throws: LeafError.self) { try Segmenter(data: SegmenterDataWriter(words: [longest + "一": -1]).bytes()) }
    }

    @Test func anotherVersionIsRefusedByName() {
        var newer = writer
        newer.version = 2
        #expect(
            throws: LeafError(
                .badInput, "the segmenter data has version 2, this program reads 1; use a newer leafcutter")
        ) { try Segmenter(data: newer.bytes()) }
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity, 0.5])
    func aWeightThatIsNoProbabilityIsRefused(weight: Double) {
        var bad = writer
        bad.unknownWeight = weight
        #expect(throws: LeafError.self) { try Segmenter(data: bad.bytes()) }
    }

    @Test func everyTruncationIsRefused() {
        let bytes = writer.bytes()
        for count in bytes.indices {
            #expect(throws: LeafError.self, "\(count) bytes") { try Segmenter(data: Array(bytes[..<count])) }
        }
        #expect(throws: LeafError.self) { try Segmenter(data: bytes + [0]) }
    }

    @Test func noChangeOfASmallFileCrashes() {
        mutate(writer.bytes(), times: 20_000, text: "中国人ab一二三，a中国国人人 x1.5%")
    }

    @Test func noChangeOfJiebasDataCrashes() {
        mutate(Tokenizer.bundledSegmenterData, times: 200, text: "今天天气不错，小明硕士毕业于中国科学院计算所 v1.5%")
    }

    /// Either the data are refused with a sentence, or every text comes back whole.
    private func mutate(_ bytes: [UInt8], times: Int, text: String) {
        var random = SeededGenerator()
        for _ in 0..<times {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                // Half of the changes fall into the header, where they decide most.
                let limit = Bool.random(using: &random) ? min(64, changed.count) : changed.count
                changed[Int.random(in: 0..<limit, using: &random)] = .random(in: .min ... .max, using: &random)
            }
            do throws(LeafError) {
                let words = try Segmenter(data: changed).words(in: text)
                #expect(scalars(words.joined()) == scalars(text), "seed \(random.seed)")
            } catch {
                #expect(error.kind == .badInput, "seed \(random.seed)")
            }
        }
    }
}
