/// Forbids every token that would make a run of `length` tokens occur a second time.
///
/// Paulus, Xiong and Socher, "A deep reinforced model for abstractive summarization" (2017); 3 or 4 is usual.
package struct NgramBan: LogitsProcessor {
    private let length: Int

    package init(_ length: Int) {
        self.length = length
    }

    package func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory) {
        let ids = history.counted
        guard ids.count >= length else { return }
        let last = ids.suffix(length - 1)
        for end in length - 1..<ids.count where ids[(end - length + 1)..<end].elementsEqual(last) {
            workspace.logits[Int(ids[end])] = -.infinity
        }
    }
}
