import LeafSystem

/// What an executor is made for. Its part of the memory plan and its buffers follow from the same values.
package struct ExecutorOptions: Sendable {
    /// The most that all texts together may demand.
    package var capacity: Demand
    /// Compute threads.
    package var threads: Int
    package var activations: ActivationPrecision
    package var kv: KVPrecision
    /// Adapters and soft prompts beside the model.
    package var tuning: ModelTuning
    /// The blocks that are run; nil for all.
    package var blocks: Range<Int>?
    /// What drafts take beside the texts' demands.
    package var drafts = DraftRoom.none
    /// Blocks that are run with the weights of another executor; nil for none.
    package var borrowed: BorrowedBlocks?
    /// Looks at the rows that matrices multiply.
    package var observer: (any InputObserver)?

    package init(
        capacity: Demand, threads: Int, activations: ActivationPrecision, kv: KVPrecision,
        tuning: ModelTuning = ModelTuning(), blocks: Range<Int>? = nil
    ) {
        self.capacity = capacity
        self.threads = threads
        self.activations = activations
        self.kv = kv
        self.tuning = tuning
        self.blocks = blocks
    }

    /// What buffers are made for: all that texts may demand, and the drafts.
    package var room: Demand {
        var room = capacity
        room.stepRows +|= drafts.rows
        room.logitRows +|= drafts.rows
        room.pages +|= drafts.forkPages +| drafts.textBranchPages
        room.longest +|= drafts.branchPages *| Demand.pageKeys
        room.sequences +|= drafts.sequences
        return room
    }
}

/// What drafts may take of a sweep and of the cache. No text can demand it: a sweep without drafts leaves it empty.
package struct DraftRoom: Sendable, Equatable {
    package static let none = DraftRoom(rows: 0)

    /// Rows with logits beside those of the texts.
    package var rows: Int
    /// Pages and sequences of forks, in which a copy of the model writes what it guesses.
    package var forkPages: Int
    package var sequences: Int
    /// Pages of one sequence for drafts that stand beside others, and of all texts together.
    package var branchPages: Int
    package var textBranchPages: Int

    package init(rows: Int, forkPages: Int = 0, sequences: Int = 0, branchPages: Int = 0, textBranchPages: Int = 0) {
        self.rows = rows
        self.forkPages = forkPages
        self.sequences = sequences
        self.branchPages = branchPages
        self.textBranchPages = textBranchPages
    }
}
