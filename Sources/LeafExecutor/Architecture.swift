package import LeafSystem

/// What a model family is to the executor: what a row becomes, what a block computes, who sees whom.
///
/// An architecture owns the small tensors and formulas of one model. It has no threads, no cache and no buffers: those
/// are the executor's, and reach it as arguments.
package protocol Architecture: AnyObject, Sendable {
    var facts: ModelFacts { get }

    /// - Throws: `.usage` for a row that this model cannot read, beyond what `facts` tell.
    func check(_ row: RowBatch.Row) throws(LeafError)

    /// Writes the embedding of one input to `hiddenState`, `[dModel]`.
    ///
    /// - Parameter segment: the segment whose embedding is added; nil for none.
    func embed(
        _ input: RowBatch.Row.Input, segment: Int32?, into hiddenState: UnsafeMutablePointer<Float>,
        _ executor: Executor
    ) throws(LeafError)

    /// Says with which row of the bias table a query sees each of 16 keys; `LEAF_MASKED` where it does not.
    ///
    /// - Parameters:
    ///   - keys: `[16]`, one page of the cache; no padding is handed over as a query.
    ///   - biasRows: `[16]`
    func look(
        from query: KVCache.Position, at keys: UnsafePointer<KVCache.Position>,
        biasRows: UnsafeMutablePointer<UInt16>)

    /// Runs one thread's part of a block, on the rows that are on the sweep.
    func run(block: Int, _ thread: SweepThread) throws(LeafError)
}

/// The sizes of a model from which the executor plans its buffers.
package struct ModelFacts: Sendable {
    /// The attention of one block: `queryHeads` is a multiple of `keyHeads`, whose keys and values are cached.
    package struct Attention: Sendable, Equatable {
        package var block: Int
        package var queryHeads: Int
        package var keyHeads: Int
        package var dimHead: Int

        package init(block: Int, queryHeads: Int, keyHeads: Int, dimHead: Int) {
            self.block = block
            self.queryHeads = queryHeads
            self.keyHeads = keyHeads
            self.dimHead = dimHead
        }
    }

    package var vocabSize: Int
    package var dModel: Int
    /// Rows of the table behind `RowBatch.Row.Input.softPrompt`; 0 for a model without.
    package var softPromptRows: Int
    /// The attention of each block that has one, in the order of the blocks.
    package var attentions: [Attention]
    /// The width of the widest feed-forward block.
    package var feedForwardWidth: Int
    /// Indices of matrices whose outputs a thread keeps for itself, chunk by chunk, before they meet the gate.
    package var upProjections: [Int]
    /// Index of the matrix whose outputs are the tokens' embeddings.
    package var tokenTable: Int
    /// The block that gives logits.
    package var outputBlock: Int

    package init(
        vocabSize: Int, dModel: Int, softPromptRows: Int = 0, attentions: [Attention], feedForwardWidth: Int,
        upProjections: [Int], tokenTable: Int, outputBlock: Int
    ) {
        self.vocabSize = vocabSize
        self.dModel = dModel
        self.softPromptRows = softPromptRows
        self.attentions = attentions
        self.feedForwardWidth = feedForwardWidth
        self.upProjections = upProjections
        self.tokenTable = tokenTable
        self.outputBlock = outputBlock
    }
}
