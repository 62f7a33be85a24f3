"""What the two doors share: repositories, images, blobs and uploads as ECR's rules have them.

A function here takes the call and already checked values, asks the rules, and reads and writes rows and bytes. It knows
no headers and no wire names. What only one door does is in that door.
"""
