/// How the answer to a body of OpenAI's is to look.
package struct OpenAIForm: Sendable, Equatable {
    /// Whether it comes in chunks.
    package var isStream = false
    /// Whether a stream ends with its counts of tokens.
    package var includesUsage = false
    /// Whether the prompt stands in front of the text.
    package var echoesPrompt = false
    /// Behind the text that is wanted; nil for a text that goes on freely.
    package var suffix: String?
    /// Whether ids stand beside texts.
    package var returnsTokenIDs = false
    /// Fields that nobody knows.
    package var ignored = UnknownFields()
}
