import LeafArguments
import Leafcutter

/// Options for choosing tokens, for every command that generates.
enum DecodingOptions {
    static let randomness: [CommandOption<GenerationOptions>] = [
        .number(
            "temperature", "T", .init(0...GenerationOptions.temperatures.upperBound, "0 is --greedy"),
            "Below 1 safer, above 1 wilder (default 0.9); 0 is --greedy.", \.temperature),
        .number(
            "top-p", "P", .init(0...1, "0.9 is usual and 0 turns it off"),
            "Sample from the best tokens that make up this probability (default 0.9).", \.topP),
        .number("top-k", "K", .init(0..., "0 turns it off"), "Sample from the K best tokens (default 0: all).", \.topK),
        .number(
            "min-p", "P", .init(0...1, "0 turns it off"),
            "Drop tokens below this share of the best one's probability (default 0).", \.minP),
        .value("seed", "N", "The same seed gives the same text (default: random, printed).", \.seed),
    ]

    static let penalties: [CommandOption<GenerationOptions>] = [
        .number(
            "repetition-penalty", "R", .repetitionPenalty,
            "Make generated tokens less likely to come again (default 1: off).",
            \.repetitionPenalty),
        .number(
            "repetition-window", "N", .repetitionWindow, "Only the last N tokens count for it (default: all).",
            \.repetitionWindow),
        .number(
            "frequency-penalty", "F", .countPenalty,
            "Taken off a token's logit for each time that it came (default 0).",
            \.frequencyPenalty),
        .number(
            "presence-penalty", "F", .countPenalty, "Taken off a token's logit if it came (default 0).",
            \.presencePenalty),
        .number(
            "no-repeat-ngram", "N", .init(0..., "0 turns it off"),
            "Let no run of N tokens come twice (default 0: off).", \.noRepeatNgram),
    ]
}
