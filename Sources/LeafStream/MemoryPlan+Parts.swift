import LeafSystem

extension MemoryPlan {
    /// What memory is for. Whatever allocates more than a page has a purpose here.
    public enum Purpose: String, Sendable, CaseIterable {
        /// Executable, libraries, stacks, allocator, page tables.
        case runtime
        /// The model file's header, and the tables of adapters and soft prompts.
        case tables
        case tokenizer
        /// Norms, position bias, segment and prompt rows, row scales, adapters.
        case resident
        case kv
        /// Row buffers of the forward pass, logits.
        case scratch
        /// Rows from which tokens are chosen.
        case sampling
        /// The timeline, where one was asked for.
        case trace
        /// Buffers that save and restore texts.
        case sessions
        /// What drafts: another model, with its cache and its rows, or n-grams.
        case drafts
        /// Tokens and answers under way, and what the program holds beside the model, such as lines of requests.
        case requests
        /// The ring that streamed chunks pass through.
        case slots
        /// Chunks that never leave.
        case pinned

        /// Whether every plan lists it, also when it takes nothing.
        var isAlwaysListed: Bool {
            switch self {
            case .runtime, .tables, .tokenizer, .resident, .kv, .scratch, .slots, .pinned: true
            case .sampling, .trace, .sessions, .drafts, .requests: false
            }
        }

        fileprivate var label: String { self == .kv ? "kv cache" : rawValue }

        fileprivate var note: String {
            switch self {
            case .runtime: "program, libraries, stacks, page tables"
            case .tables: "what headers say of the files"
            case .resident: "norms, scales, position bias"
            case .scratch: "rows on a sweep"
            default: ""
            }
        }
    }

    /// Bytes for one purpose.
    public struct Part: Sendable, Equatable {
        public let purpose: Purpose
        public let bytes: Int

        /// - Parameter bytes: none if it is negative.
        public init(_ purpose: Purpose, _ bytes: Int) {
            self.purpose = purpose
            self.bytes = max(0, bytes)
        }
    }

    /// Every byte of the plan by its purpose, page tables among the runtime's: together `total`.
    public var parts: [Part] {
        Purpose.allCases.map { purpose in Part(purpose, bytes(for: purpose)) }
            .filter { $0.bytes > 0 || $0.purpose.isAlwaysListed }
    }

    public func bytes(for purpose: Purpose) -> Int {
        switch purpose {
        case .slots: slotsBytes
        case .pinned: pinnedBytes
        case .runtime: reserved.bytes(for: .runtime) + pageTableBytes
        default: reserved.bytes(for: purpose)
        }
    }
}

extension Sequence<MemoryPlan.Part> {
    /// `Int.max` if the sum overflows, so that such a plan is refused and does not trap.
    package var total: Int { reduce(0) { $0 +| $1.bytes } }

    package func bytes(for purpose: MemoryPlan.Purpose) -> Int { filter { $0.purpose == purpose }.total }
}

extension MemoryPlan: CustomStringConvertible {
    /// Names the smallest budget only where nothing drafts, because drafts ask for no larger one.
    public var description: String { table(smallest: bytes(for: .drafts) == 0 ? minimum : nil) }

    /// One line for each part, as `leafcutter plan` prints it.
    ///
    /// - Parameter smallest: the smallest budget, where it is known.
    public func table(smallest: Int?) -> String {
        let slots =
            slotCount == 0
            ? "everything is resident"
            : "\(slotCount) of \(slotBytes.sizeText); \(streamedBytesPerSweep.diskText) read a sweep"
        let lent = lentChunks.isEmpty ? "" : ", \(lentChunks.count) of them for drafts as well"
        var lines = parts.map { part in
            switch part.purpose {
            case .slots: line(part.purpose.label, part.bytes, slots)
            case .pinned: line(part.purpose.label, part.bytes, "\(pinnedChunks.count) of \(chunkCount) chunks\(lent)")
            default: line(part.purpose.label, part.bytes, part.purpose.note)
            }
        }
        let use = contents.map { " for \($0)" } ?? ""
        let least = smallest.map { "; the smallest budget\(use) is \($0.roundedUpText)" } ?? ""
        lines.append(line("planned", total, "of \(budget.sizeText)\(least)"))
        return lines.joined(separator: "\n")
    }

    private func line(_ name: String, _ bytes: Int, _ note: String) -> String {
        let amount = bytes.sizeText
        let columns = pad(name, to: 10) + String(repeating: " ", count: max(0, 11 - amount.count)) + amount
        return note.isEmpty ? columns : columns + "   " + note
    }

    private func pad(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
