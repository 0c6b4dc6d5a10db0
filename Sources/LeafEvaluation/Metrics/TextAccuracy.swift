/// The share of texts that equal the target, ignoring white space at both ends.
package struct TextAccuracy: TextMetric {
    private var mean = Mean()

    package init() {}

    package mutating func add(_ text: String, reference: String) {
        mean.add(text.trimmed == reference.trimmed ? 1 : 0)
    }

    package var values: [MetricValue] { [MetricValue(name: "accuracy", value: mean.value)] }
}

/// The share of right answers to arithmetic problems: the same text (`exact_match`), or an expression with the same
/// value (`accuracy`), since another way to the same number is no error.
package struct AnswerAccuracy: TextMetric {
    private var exact = Mean()
    private var right = Mean()

    package init() {}

    package mutating func add(_ text: String, reference: String) {
        let isSame = text.trimmed == reference.trimmed
        exact.add(isSame ? 1 : 0)
        right.add(isSame || Arithmetic.agree(text, reference) ? 1 : 0)
    }

    package var values: [MetricValue] {
        [MetricValue(name: "accuracy", value: right.value), MetricValue(name: "exact_match", value: exact.value)]
    }
}

extension String {
    /// Compared by scalars: two spellings of one character are two texts.
    fileprivate var trimmed: [Unicode.Scalar] {
        let scalars = Array(unicodeScalars).drop { $0.properties.isWhitespace }
        return scalars.lastIndex { !$0.properties.isWhitespace }.map { Array(scalars[...$0]) } ?? []
    }
}
