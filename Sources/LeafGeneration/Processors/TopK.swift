/// Keeps the `count` largest logits, and all logits equal to the smallest of these.
///
/// Fan, Lewis and Dauphin, "Hierarchical neural story generation" (2018). Source: CPM-Ant reference, section 5.3.
package struct TopK: LogitsProcessor {
    private let count: Int

    package init(_ count: Int) {
        self.count = count
    }

    package func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory) {
        guard count < workspace.vocabSize else { return }
        let threshold = smallestKept(workspace.logits)
        let logits = workspace.logits
        workspace.keep { logits[$0] >= threshold }
    }

    /// The `count`-th largest logit, found bit by bit, without sorting and in the same time for every row.
    private func smallestKept(_ logits: FloatRow) -> Float {
        var threshold: UInt32 = 0
        for bit in (0..<32).reversed() {
            let candidate = threshold | 1 << UInt32(bit)
            var atLeast = 0
            for id in 0..<logits.count where Self.rank(logits[id]) >= candidate { atLeast += 1 }
            if atLeast >= count { threshold = candidate }
        }
        return Self.value(ofRank: threshold)
    }

    /// An integer that orders as the float does.
    private static func rank(_ value: Float) -> UInt32 {
        let bits = value.bitPattern
        return bits >> 31 == 0 ? bits | 1 << 31 : ~bits
    }

    private static func value(ofRank rank: UInt32) -> Float {
        Float(bitPattern: rank >> 31 == 1 ? rank & ~(1 << 31) : ~rank)
    }
}
