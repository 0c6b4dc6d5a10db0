package import LeafSystem

/// A text of the kind that is going to be written, from which drafts are taken. Drafters share it.
package struct DraftCorpus: Sendable {
    let index: NgramIndex

    /// - Parameters:
    ///   - tokens: the ids of the text.
    ///   - bytes: the memory that is left for it, while it is built and afterwards.
    /// - Throws: `.budget` if it does not fit.
    package init(_ tokens: [Int32], within bytes: Int) throws(LeafError) {
        let needed = Self.buildingBytes(tokens: tokens.count)
        guard tokens.count <= Int(Int32.max), needed <= bytes else {
            throw LeafError(
                .budget,
                "a draft corpus of \(tokens.count.of("token")) takes \(needed.roundedUpText) while it is sorted, and "
                    + "\(bytes.sizeText) are left for it; \(Self.mostTokens(within: bytes).of("token")) fit")
        }
        index = NgramIndex(of: tokens)
    }

    package var count: Int { index.count }

    /// Bytes of a corpus, its tokens included, for the memory plan.
    package static func byteCount(tokens: Int) -> Int { NgramIndex.byteCount(tokens: tokens) }

    /// Bytes while it is built.
    package static func buildingBytes(tokens: Int) -> Int { NgramIndex.buildingBytes(tokens: tokens) }

    /// The longest corpus that can be built in so many bytes.
    package static func mostTokens(within bytes: Int) -> Int {
        max(0, min(bytes / buildingBytes(tokens: 1), Int(Int32.max)))
    }
}
