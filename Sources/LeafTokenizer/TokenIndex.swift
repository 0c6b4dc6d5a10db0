/// Finds tokens by their bytes: built once from a vocabulary's text.
struct TokenIndex: Sendable {
    private let trie: PrefixTrie<UInt8>
    /// Token that ends in each node, or -1.
    private let nodeTokens: [Int32]

    /// - Parameters:
    ///   - text: the tokens, one behind the other.
    ///   - starts: token i is `text[starts[i]..<starts[i + 1]]`, and not empty.
    init(text: [UInt8], starts: [UInt32]) {
        let order = Self.order(text: text, starts: starts)
        var trie = PrefixTrie<UInt8>.Builder(capacity: text.count + 1)
        var nodeTokens: [Int32] = [-1]
        nodeTokens.reserveCapacity(text.count + 1)

        // A node is the range of tokens in `order` that share its path; a level at a time.
        var level = [order.indices]
        var depth = 0
        while !level.isEmpty {
            var below: [Range<Int>] = []
            for range in level {
                let node = trie.opened
                trie.beginChildren()
                var low = range.lowerBound
                // The tokens that end here come first, equal ones by id: the last one stays.
                while low < range.upperBound, Self.count(of: order[low], starts) == depth {
                    nodeTokens[node] = order[low]
                    low += 1
                }
                while low < range.upperBound {
                    let label = text[Int(starts[Int(order[low])]) + depth]
                    var high = low + 1
                    while high < range.upperBound, text[Int(starts[Int(order[high])]) + depth] == label { high += 1 }
                    trie.append(label)
                    nodeTokens.append(-1)
                    below.append(low..<high)
                    low = high
                }
            }
            level = below
            depth += 1
        }
        self.trie = trie.finish()
        self.nodeTokens = nodeTokens
    }

    /// Heap bytes.
    var byteCount: Int { trie.byteCount + 4 * nodeTokens.capacity }

    /// The longest token at the beginning of a part of a text, if any, and its bytes.
    @inline(__always)
    func longestMatch(at range: Range<Int>, of text: Span<UInt8>) -> (token: Int32, byteCount: Int)? {
        var best: (token: Int32, byteCount: Int)?
        var node = trie.root
        var position = range.lowerBound
        while position < range.upperBound, let next = trie.child(of: node, by: text[position]) {
            node = next
            position += 1
            if nodeTokens[node] >= 0 { best = (nodeTokens[node], position - range.lowerBound) }
        }
        return best
    }

    private static func count(of token: Int32, _ starts: [UInt32]) -> Int {
        Int(starts[Int(token) + 1] - starts[Int(token)])
    }

    /// Tokens in the order of their bytes, equal ones in the order of their ids.
    private static func order(text: [UInt8], starts: [UInt32]) -> [Int32] {
        /// The first eight bytes decide nearly always, and compare as one number.
        struct Key {
            let prefix: UInt64
            let token: Int32
        }
        func bytes(of token: Int32) -> ArraySlice<UInt8> { text[Int(starts[Int(token)])..<Int(starts[Int(token) + 1])] }
        var keys = (0..<Int32(starts.count - 1)).map { token in
            var prefix: UInt64 = 0
            for (index, byte) in bytes(of: token).prefix(8).enumerated() { prefix |= UInt64(byte) << (56 - 8 * index) }
            return Key(prefix: prefix, token: token)
        }
        keys.sort { a, b in
            if a.prefix != b.prefix { return a.prefix < b.prefix }
            let (left, right) = (bytes(of: a.token), bytes(of: b.token))
            if left.elementsEqual(right) { return a.token < b.token }
            return left.lexicographicallyPrecedes(right)
        }
        return keys.map(\.token)
    }
}
