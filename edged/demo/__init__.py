"""`edged demo`: a plant hall made on the spot, heard by a real daemon, judged against the truth.

    synthesis -> machines -> scene -> files -> (edged run: capture child ... ZeroMQ) -> director -> view
                               |                                                          |
                               +--> truth ------------------------------------------> outcome -> table, exit code

The sound is the only thing that is scripted. The spoken words in `words/` are espeak-ng's, made by `words/make.sh`.
"""
