package import LeafSystem
import LeafTokenizer

/// A long text in pieces that a model can read; its ids come in any portions, and no more than a window is kept.
package struct TextWindows: Sendable {
    package struct Window: Sendable, Equatable {
        /// `<s>` and the tokens that are read as a prompt.
        package let prefix: [Int32]
        /// The tokens that the model scores.
        package let target: [Int32]
        /// The number of target tokens that an earlier window has scored.
        package let alreadyScored: Int

        package init(prefix: [Int32], target: [Int32], alreadyScored: Int) {
            self.prefix = prefix
            self.target = target
            self.alreadyScored = alreadyScored
        }
    }

    /// Tokens of the text in a window, which holds `<s>` besides.
    private let length: Int
    private let prefix: Int
    private let stride: Int
    /// The ids from the next window's start on.
    private var pending: [Int32] = []
    /// Of the text: where the next window starts, and how far windows have scored.
    private var start = 0
    private var scoredUpTo: Int
    /// Ids that came.
    private var count = 0

    /// - Parameters:
    ///   - context: tokens of a window, `<s>` included.
    ///   - prefix: tokens that are read as a prompt, `<s>` included.
    ///   - stride: tokens from one window to the next; nil for no overlap.
    /// - Throws: `.usage` for numbers that make no sense.
    package init(context: Int, prefix: Int, stride: Int?) throws(LeafError) {
        guard (2...1 << 20).contains(context) else {
            throw LeafError(.usage, "a context of \(context) is not between 2 and \(1 << 20)")
        }
        guard (1..<context).contains(prefix) else {
            throw LeafError(
                .usage, "a prefix of \(prefix) is not between 1 and \(context - 1), one less than the context")
        }
        length = context - 1
        let most = length - (prefix - 1)
        self.prefix = prefix
        self.stride = stride ?? most
        guard (1...most).contains(self.stride) else {
            throw LeafError(.usage, "a stride of \(self.stride) is not between 1 and \(most), what a window can score")
        }
        scoredUpTo = prefix - 1
    }

    /// - Returns: the windows that are full now.
    package mutating func append(_ ids: [Int32]) -> [Window] {
        add(ids)
        var windows: [Window] = []
        while let window = nextFull() { windows.append(window) }
        return windows
    }

    /// Takes more of the text; `nextFull` gives the windows one by one, since those of a short stride are far larger
    /// than the text.
    package mutating func add(_ ids: [Int32]) {
        pending += ids
        count += ids.count
    }

    /// - Returns: nil when more of the text has to come first.
    package mutating func nextFull() -> Window? {
        // One that ends with the text is the last: it is not known yet that nothing comes behind it.
        pending.count > length ? next() : nil
    }

    /// - Returns: what is left when no ids come any more.
    /// - Throws: `.usage` if there is nothing to score.
    package mutating func finish() throws(LeafError) -> [Window] {
        guard count >= prefix else {
            throw LeafError(
                .usage, "the text has \(count.of("token")), which leaves nothing to score; give a longer one")
        }
        var windows: [Window] = []
        while scoredUpTo < count { windows.append(next()) }
        return windows
    }

    private mutating func next() -> Window {
        let ids = pending.prefix(length)
        let window = Window(
            prefix: [Tokenizer.bosID] + ids.prefix(prefix - 1), target: Array(ids.dropFirst(prefix - 1)),
            alreadyScored: scoredUpTo - (start + prefix - 1))
        scoredUpTo = start + ids.count
        start += stride
        pending.removeFirst(min(stride, pending.count))
        return window
    }
}
