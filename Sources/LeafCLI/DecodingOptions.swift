import LeafArguments
import Leafcutter

/// Options for choosing tokens, for every command that generates.
enum DecodingOptions {
    static let randomness: [CommandOption<GenerationOptions>] = [
        .value("temperature", "T", "Below 1 safer, above 1 wilder (default 0.9); 0 is --greedy.", \.temperature),
        .value(
            "top-p", "P", "Sample from the best tokens that make up this probability (default 0.9).", \.topP),
        .value("top-k", "K", "Sample from the K best tokens (default 0: all).", \.topK),
        .value("min-p", "P", "Drop tokens below this share of the best one's probability (default 0).", \.minP),
        .value("seed", "N", "The same seed gives the same text (default: random, printed).", \.seed),
    ]

    static let penalties: [CommandOption<GenerationOptions>] = [
        .value(
            "repetition-penalty", "R", "Make generated tokens less likely to come again (default 1: off).",
            \.repetitionPenalty),
        .value(
            "repetition-window", "N", "Only the last N tokens count for it (default: all).",
            \.repetitionWindow),
        .value(
            "frequency-penalty", "F", "Taken off a token's logit for each time that it came (default 0).",
            \.frequencyPenalty),
        .value(
            "presence-penalty", "F", "Taken off a token's logit if it came (default 0).", \.presencePenalty),
        .value(
            "no-repeat-ngram", "N", "Let no run of N tokens come twice (default 0: off).", \.noRepeatNgram),
    ]
}
