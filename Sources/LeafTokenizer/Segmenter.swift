import LeafFormat
package import LeafSystem

/// Cuts text into words exactly as jieba 0.42.1 does by default (`jieba.cut(text, cut_all=False)`,
/// with its HMM).
///
/// The words are consecutive and cover the text. All work is done on UTF-8, by Unicode scalars: nothing is normalized,
/// and characters of several scalars are not kept together.
///
/// Source: CPM-Ant reference, section 4.3; jieba (MIT).
package struct Segmenter: Sendable {
    private let dictionary: WordDictionary
    private let model: HiddenMarkovModel

    /// - Parameter data: the output of `Scripts/make-segmenter-data.py`, from a model file or from
    ///   `Tokenizer.bundledSegmenterData`.
    /// - Throws: `.badInput` for any other bytes.
    package init(data: [UInt8]) throws(LeafError) {
        let parts = try SegmenterData(data)
        self.dictionary = parts.dictionary
        self.model = parts.model
    }

    /// The bytes on the heap.
    package var byteCount: Int { dictionary.byteCount + model.byteCount }

    package func words(in text: String) -> [String] {
        var words: [String] = []
        var start = text.utf8.startIndex
        cut(text.utf8Span.span) { range in
            let end = text.utf8.index(start, offsetBy: range.count)
            words.append(String(text[start..<end]))
            start = end
        }
        return words
    }

    /// Calls `emit` with the byte range of each word, in order.
    ///
    /// Besides the text, this needs a byte for each byte of the longest block, and a third of that for its unknown
    /// words.
    func cut(_ text: Span<UInt8>, emit: (Range<Int>) -> Void) {
        var scratch = Scratch()
        var position = 0
        while position < text.count {
            let start = position
            while position < text.count, BlockCharacter.isPresent(in: text, at: position) {
                position += UTF8Scalar.width(lead: text[position])
            }
            if position > start {
                cutBlock(start..<position, of: text, scratch: &scratch, emit: emit)
            } else {
                let lead = text[start]
                let isLineEnd =
                    lead == UInt8(ascii: "\r") && start + 1 < text.count && text[start + 1] == UInt8(ascii: "\n")
                position += isLineEnd ? 2 : UTF8Scalar.width(lead: lead)
                emit(start..<position)
            }
        }
    }
}

extension Segmenter {
    /// Working memory, reused from block to block.
    private struct Scratch {
        /// The length in bytes of the best word at each position of a block.
        var wordBytes: [UInt8] = []
        /// Working memory of the hidden Markov model.
        var steps: [UInt8] = []
        /// The log-probability of the best path from here to the block's end, by the number of remaining characters
        /// modulo the count. The count is a power of two larger than the longest word.
        var paths = [Double](repeating: 0, count: 2 * WordDictionary.maximumLength)
    }

    /// Finds the most probable path through the dictionary's words. Consecutive single characters on it may be unknown
    /// words.
    private func cutBlock(
        _ block: Range<Int>, of text: Span<UInt8>, scratch: inout Scratch, emit: (Range<Int>) -> Void
    ) {
        findBestPath(block, of: text, scratch: &scratch)
        var position = block.lowerBound
        var unused = position
        while position < block.upperBound {
            let end = position + Int(scratch.wordBytes[position - block.lowerBound])
            if end - position > UTF8Scalar.width(lead: text[position]) {
                cutSingles(unused..<position, of: text, scratch: &scratch, emit: emit)
                emit(position..<end)
                unused = end
            }
            position = end
        }
        cutSingles(unused..<position, of: text, scratch: &scratch, emit: emit)
    }

    /// Goes from the block's end to its start, and finds at each position the word with the most probable path; of
    /// equal ones, the longer.
    private func findBestPath(_ block: Range<Int>, of text: Span<UInt8>, scratch: inout Scratch) {
        if scratch.wordBytes.count < block.count { scratch.wordBytes = [UInt8](repeating: 0, count: block.count) }
        let mask = scratch.paths.count - 1
        scratch.paths[0] = 0
        var position = block.upperBound
        var left = 0
        while position > block.lowerBound {
            repeat { position -= 1 } while UTF8Scalar.isContinuation(text[position])
            left += 1

            let width = UTF8Scalar.width(lead: text[position])
            var best = -Double.infinity
            var bestBytes = 0
            var end = position + width
            var rest = left - 1
            var node = dictionary.node(first: BlockCharacter.slot(in: text, at: position))
            while let current = node {
                if let weight = dictionary.weight(of: current) {
                    let path = weight + scratch.paths[rest & mask]
                    if path >= best { (best, bestBytes) = (path, end - position) }
                }
                guard end < block.upperBound else { break }
                node = dictionary.node(after: current, slot: BlockCharacter.slot(in: text, at: end))
                end += UTF8Scalar.width(lead: text[end])
                rest -= 1
            }
            if bestBytes == 0 {
                (best, bestBytes) = (dictionary.unknownWeight + scratch.paths[(left - 1) & mask], width)
            }
            scratch.paths[left & mask] = best
            scratch.wordBytes[position - block.lowerBound] = UInt8(bestBytes)
        }
    }

    /// Handles consecutive characters that are single words on the best path.
    ///
    /// A single one stays. Characters that form a word of the dictionary stay apart, because the path knew that word
    /// and preferred this. Any other run may contain unknown words.
    private func cutSingles(
        _ row: Range<Int>, of text: Span<UInt8>, scratch: inout Scratch, emit: (Range<Int>) -> Void
    ) {
        guard !row.isEmpty else { return }
        let isApart = row.count == UTF8Scalar.width(lead: text[row.lowerBound]) || dictionary.contains(row, of: text)
        var position = row.lowerBound
        while position < row.upperBound {
            let start = position
            let isHan = text[position] >= 0x80
            if isApart {
                position += UTF8Scalar.width(lead: text[position])
                emit(start..<position)
            } else {
                while position < row.upperBound, (text[position] >= 0x80) == isHan { position += 1 }
                if isHan {
                    model.cut(start..<position, of: text, steps: &scratch.steps, emit: emit)
                } else {
                    cutASCII(start..<position, of: text, emit: emit)
                }
            }
        }
    }

    /// Cuts out numbers, names and percentages (`[a-zA-Z0-9]+(?:\.\d+)?%?`), and the parts between them.
    private func cutASCII(_ run: Range<Int>, of text: Span<UInt8>, emit: (Range<Int>) -> Void) {
        /// The first position from `start` on that does not belong.
        func end(from start: Int, _ belongs: (UInt8) -> Bool) -> Int {
            var position = start
            while position < run.upperBound, belongs(text[position]) { position += 1 }
            return position
        }
        var position = run.lowerBound
        while position < run.upperBound {
            let start = position
            if BlockCharacter.isLetterOrDigit(text[start]) {
                position = end(from: start, BlockCharacter.isLetterOrDigit)
                if position < run.upperBound, text[position] == UInt8(ascii: ".") {
                    let fractionEnd = end(from: position + 1, BlockCharacter.isDigit)
                    if fractionEnd > position + 1 { position = fractionEnd }
                }
                if position < run.upperBound, text[position] == UInt8(ascii: "%") { position += 1 }
            } else {
                position = end(from: start) { !BlockCharacter.isLetterOrDigit($0) }
            }
            emit(start..<position)
        }
    }
}
