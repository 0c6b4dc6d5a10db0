/// jieba's prefix dictionary: words of block characters, with the logarithm of their share.
struct WordDictionary: Sendable {
    /// The most characters of a word; jieba's longest has 16.
    static let maximumLength = 64
    /// The label of a character that is in no word.
    static let noLabel = UInt16.max

    /// Label of each block character, by slot.
    private let labels: [UInt16]
    /// The node of each block character as the first of a word, by slot; 0 if no word begins with it. The root has
    /// thousands of children, too many to search for every character of a text.
    private let firstNodes: [UInt32]
    /// The value of a node is the number of its word's weight, or 0 if no word ends there.
    private let trie: PrefixTrie<UInt16, UInt16>
    private let weights: [Double]

    /// - Parameters:
    ///   - labels: the label of each block character, by slot.
    ///   - trie: no deeper than `maximumLength`; its values are indices into `weights`.
    ///   - weights: log-probabilities; number 0 is for characters without a word.
    init(labels: [UInt16], trie: PrefixTrie<UInt16, UInt16>, weights: [Double]) {
        self.labels = labels
        self.firstNodes = labels.map { label in UInt32(trie.child(of: trie.root, by: label) ?? 0) }
        self.trie = trie
        self.weights = weights
    }

    /// jieba's weight of a character that is no word: log(1 / total).
    var unknownWeight: Double { weights[0] }

    /// Heap bytes.
    var byteCount: Int {
        trie.byteCount + labels.heapBytes + firstNodes.heapBytes + weights.heapBytes
    }

    /// The node of the words that begin with the character in `slot`.
    @inline(__always)
    func node(first slot: Int) -> Int? {
        let node = firstNodes[slot]
        return node == 0 ? nil : Int(node)
    }

    /// The node after one more character.
    @inline(__always)
    func node(after node: Int, slot: Int) -> Int? {
        trie.child(of: node, by: labels[slot])
    }

    /// log(frequency / total) of the word that ends in `node`; nil if none does.
    @inline(__always)
    func weight(of node: Int) -> Double? {
        let number = trie.value(of: node)
        return number == 0 ? nil : weights[Int(number)]
    }

    /// Whether a part of a block is a word; it must not be empty.
    func contains(_ range: Range<Int>, of text: Span<UInt8>) -> Bool {
        var position = range.lowerBound
        var node = trie.root
        while position < range.upperBound {
            let slot = BlockCharacter.slot(in: text, at: position)
            guard let next = self.node(after: node, slot: slot) else { return false }
            node = next
            position += UTF8Scalar.width(lead: text[position])
        }
        return weight(of: node) != nil
    }
}
