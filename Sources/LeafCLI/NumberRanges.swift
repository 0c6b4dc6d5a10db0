import LeafArguments
import LeafSystem
import LeafWire
import Leafcutter

/// Numbers that options of several commands take.
extension NumberRange<Int> {
    static var threads: Self { Self(Machine.threadCounts) }
    /// Texts at the same time.
    static var texts: Self { Self(1...GenerationOptions.mostSequences) }
    static var context: Self { Self(1...PlanAnswer.longestContext) }
    static var maxTokens: Self { Self(GenerationOptions.lengths) }
    static var beams: Self { Self(GenerationOptions.beamCounts, "CPM-Live's default is 3") }
    /// What a model may have; the model itself says what it has.
    static var softPrompt: Self { Self(0...4095, "CPM-Ant's are 0 to 31") }
    static var segment: Self { Self(0...254, "CPM-Ant's are 0 to 31") }
    static var repetitionWindow: Self { Self(1..., "leave it out for all tokens") }
}

extension NumberRange<Float> {
    static var share: Self { Self(0...1) }
    static var repetitionPenalty: Self { Self(GenerationOptions.penalties, "1 turns it off, 1.2 is usual") }
    static var countPenalty: Self { Self(GenerationOptions.countPenalties, "0 turns it off, 0.1 to 1 is usual") }
}
