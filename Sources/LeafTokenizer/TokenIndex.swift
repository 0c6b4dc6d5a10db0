/// Finds tokens by their bytes. It is built once from a vocabulary's text.
struct TokenIndex: Sendable {
    /// The value of a node is the token that ends there, or -1.
    private let trie: PrefixTrie<UInt8, Int32>

    /// - Parameters:
    ///   - text: the tokens, concatenated.
    ///   - starts: token i is `text[starts[i]..<starts[i + 1]]`, and is not empty.
    ///   - isIndexed: whether a token can be found.
    init(text: [UInt8], starts: [UInt32], where isIndexed: (Int32) -> Bool) {
        let order = Self.order(text: text, starts: starts).filter(isIndexed)
        var trie = PrefixTrie<UInt8, Int32>.Builder(
            capacity: 1 + Self.prefixCount(order, text: text, starts: starts), none: -1)

        // A node is the range of tokens in `order` that share its path. This loop builds one level at a time.
        var level = [order.indices]
        var depth = 0
        while !level.isEmpty {
            var below: [Range<Int>] = []
            for range in level {
                let node = trie.open()
                var low = range.lowerBound
                // The tokens that end here come first, equal ones by id; the last one is kept.
                while low < range.upperBound, Self.count(of: order[low], starts) == depth {
                    trie.setValue(order[low], of: node)
                    low += 1
                }
                while low < range.upperBound {
                    let label = text[Int(starts[Int(order[low])]) + depth]
                    var high = low + 1
                    while high < range.upperBound, text[Int(starts[Int(order[high])]) + depth] == label { high += 1 }
                    trie.append(label)
                    below.append(low..<high)
                    low = high
                }
            }
            level = below
            depth += 1
        }
        self.trie = trie.finish()
    }

    /// Heap bytes.
    var byteCount: Int { trie.byteCount }

    /// The longest token at the beginning of a part of a text, with its length in bytes; nil if there is none.
    @inline(__always)
    func longestMatch(at range: Range<Int>, of text: Span<UInt8>) -> (token: Int32, byteCount: Int)? {
        var best: (token: Int32, byteCount: Int)?
        var node = trie.root
        var position = range.lowerBound
        while position < range.upperBound, let next = trie.child(of: node, by: text[position]) {
            node = next
            position += 1
            let token = trie.value(of: node)
            if token >= 0 { best = (token, position - range.lowerBound) }
        }
        return best
    }

    /// The number of different prefixes of all tokens, without the empty one.
    private static func prefixCount(_ order: [Int32], text: [UInt8], starts: [UInt32]) -> Int {
        guard let first = order.first else { return 0 }
        var count = Self.count(of: first, starts)
        for (before, token) in zip(order, order.dropFirst()) {
            let (first, second) = (bytes(of: before, text, starts), bytes(of: token, text, starts))
            count += second.count - zip(first, second).prefix { $0 == $1 }.count
        }
        return count
    }

    private static func bytes(of token: Int32, _ text: [UInt8], _ starts: [UInt32]) -> ArraySlice<UInt8> {
        text[Int(starts[Int(token)])..<Int(starts[Int(token) + 1])]
    }

    private static func count(of token: Int32, _ starts: [UInt32]) -> Int {
        Int(starts[Int(token) + 1] - starts[Int(token)])
    }

    /// Tokens in the order of their bytes; equal ones in the order of their ids.
    private static func order(text: [UInt8], starts: [UInt32]) -> [Int32] {
        /// The first eight bytes decide almost always, and compare as one number.
        struct Key {
            let prefix: UInt64
            let token: Int32
        }
        var keys = (0..<Int32(starts.count - 1)).map { token in
            var prefix: UInt64 = 0
            for (index, byte) in bytes(of: token, text, starts).prefix(8).enumerated() {
                prefix |= UInt64(byte) << (56 - 8 * index)
            }
            return Key(prefix: prefix, token: token)
        }
        keys.sort { a, b in
            if a.prefix != b.prefix { return a.prefix < b.prefix }
            let (left, right) = (bytes(of: a.token, text, starts), bytes(of: b.token, text, starts))
            if left.elementsEqual(right) { return a.token < b.token }
            return left.lexicographicallyPrecedes(right)
        }
        return keys.map(\.token)
    }
}
